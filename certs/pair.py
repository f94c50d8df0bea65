"""A certificate and its key, which only ever travel together, and PEM, as which they do."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

PrivateKey = EllipticCurvePrivateKey | RSAPrivateKey


@dataclass(frozen=True)
class Pair:
    """A certificate and the key that it certifies."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)

    def to_pem(self) -> bytes:
        """Both in one PEM text, as most servers take it for the certificate and for the key."""
        return self.key_pem() + certificate_pem([self.certificate])

    def key_pem(self) -> bytes:
        """The key alone, as unencrypted PKCS #8."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True)
class Damaged:
    """A file that should hold a pair and does not; `what` says why, without quoting it."""

    what: str


def certificate_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """Certificates as PEM, one after the other."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def parse_certificates(pem: bytes) -> list[x509.Certificate]:
    """The certificates in a PEM text.

    Raises:
        ValueError: There is none, or one that cannot be read.
    """
    certificates = x509.load_pem_x509_certificates(pem)
    for certificate in certificates:
        _ = certificate.extensions  # parsed only when asked for: better to fail here than later
    return certificates


def parse_pair(pem: bytes) -> Pair | Damaged:
    """The key in a PEM text and its first certificate, if they belong together."""
    try:
        certificate = parse_certificates(pem)[0]
    except ValueError:
        return Damaged("it holds no certificate that can be read")
    key = _parse_key(pem)
    if isinstance(key, Damaged):
        return key
    if key.public_key() != certificate.public_key():
        return Damaged("its key does not belong to its certificate")
    return Pair(certificate, key)


def _parse_key(pem: bytes) -> PrivateKey | Damaged:
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        return Damaged("its key is encrypted")
    except (ValueError, UnsupportedAlgorithm):
        return Damaged("it holds no private key that can be read")
    return key if isinstance(key, PrivateKey) else Damaged("its key is neither EC nor RSA")


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's name and its signature are on the certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The subject alternative names, as text."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names)
