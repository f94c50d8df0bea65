"""Makes a CA, signs with it, and says what a CA cannot or may not sign.

The extensions are those that the strictest of the clients, Python 3.13 and newer, insists on.
"""

import ipaddress
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.pair import Pair, PrivateKey, is_issued_by

CA_DAYS: Final = 3650

_BACKDATED: Final = timedelta(minutes=5)
"""So that a client whose clock is a little behind accepts what was issued just now."""


def make_authority(names: Iterable[str], now: datetime) -> Pair:
    """A new CA that may sign for these names and those below them, and for no others.

    Whoever gets hold of its key, or trusts it on a laptop, can be deceived about nothing else.

    Args:
        names: DNS names and IP addresses.
        now: Ten years from here it expires.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # A name of its own for each CA: old and new are in one bundle, clients look issuers up by name.
    subject = _common_name(f"minidata CA {identifier.digest.hex()[:8]}")
    permitted = [_subtree(name) for name in sorted(set(names))]
    certificate = (
        _builder(subject, subject, key, now, now + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def sign(authority: Pair, name: str, names: Iterable[str], now: datetime, days: int) -> Pair:
    """A new key and the server certificate for it.

    Args:
        authority: The CA; no certificate outlives it.
        name: For the subject, which people read and clients ignore.
        names: DNS names and IP addresses, for the subject alternative names.
        now: When it begins.
        days: How long it lives.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    end = min(now + timedelta(days=days), issuer.not_valid_after_utc)
    alternatives = [_general_name(name) for name in names]
    certificate = (
        _builder(_common_name(name), issuer.subject, key, now, end)
        .add_extension(_identifier_of(issuer), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Pair(certificate, key)


def fault_of(authority: x509.Certificate) -> str | None:
    """Why a certificate cannot serve as CA: what strict clients would refuse it for, or None."""
    extensions = authority.extensions
    try:
        constraints = extensions.get_extension_for_class(x509.BasicConstraints)
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return "it lacks basic constraints, key usage or subject key identifier"
    if not (constraints.critical and constraints.value.ca and usage.key_cert_sign):
        return "its extensions (basic constraints, critical, and key usage) make it no CA"
    if not is_issued_by(authority, authority):
        return "it is not self-signed, and many clients trust roots only"
    return None


def refused_names(authority: x509.Certificate, names: Iterable[str]) -> list[str]:
    """The names that the CA's name constraints don't let it sign for, in order."""
    try:
        constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return []
    permitted, excluded = constraints.permitted_subtrees, constraints.excluded_subtrees
    return [
        name
        for name in dict.fromkeys(names)
        if not _is_permitted(name, permitted or ()) or _is_within(name, excluded or ())
    ]


def _is_permitted(name: str, subtrees: Collection[x509.GeneralName]) -> bool:
    # RFC 5280, 4.2.1.10: a kind of name that no subtree mentions is free.
    kind = type(_general_name(name))
    return not any(isinstance(tree, kind) for tree in subtrees) or _is_within(name, subtrees)


def _is_within(name: str, subtrees: Iterable[x509.GeneralName]) -> bool:
    wanted = _general_name(name)
    return any(type(tree) is type(wanted) and _covers(tree, name) for tree in subtrees)


def _covers(tree: x509.GeneralName, name: str) -> bool:
    if isinstance(tree, x509.IPAddress):
        return ipaddress.ip_address(name) in ipaddress.ip_network(str(tree.value))
    # A leading dot, as some CAs write it, or none: ".a" and "a" both hold "b.a".
    base = str(tree.value).removeprefix(".").lower()
    return not base or f".{name}".endswith(f".{base}")


def _general_name(name: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _subtree(name: str) -> x509.DNSName | x509.IPAddress:
    # In name constraints an address is a network, here of one.
    try:
        return x509.IPAddress(ipaddress.ip_network(name))
    except ValueError:
        return x509.DNSName(name)


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _identifier_of(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(end)
        .add_extension(identifier, critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    # An EC key of a server only ever signs the handshake; encipherment is for RSA of old.
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
