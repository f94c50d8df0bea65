"""The receiver's certificate: whoever connects is shown the newest, without a restart.

And when it and those of others end.
"""

import logging
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_log = logging.getLogger(__name__)
_UTC_TIME = 0x17
_LONG_FORM = 0x80
_VERSION = 0xA0


class CertificateError(Exception):
    """There is no pair of certificate and key to serve with; says where and how to mend it."""


@dataclass(frozen=True)
class _Pair:
    """A certificate and its key, ready to be served."""

    context: ssl.SSLContext
    not_after: datetime


class Certificate:
    """A certificate and its key in two files, looked at whenever somebody connects."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read the files.

        Raises:
            CertificateError: They cannot be read, or are no pair.
        """
        self._files = (certificate, key)
        self._seen = self._stamp()
        self._pair = _read(*self._files)
        self.context = self._pair.context
        """What a server takes: TLS 1.2 or newer."""
        # Called in every handshake, whether or not the client names a host.
        self.context.sni_callback = self._show

    def expiry(self) -> float:
        """When the certificate that is shown ends, in seconds since 1970."""
        self._renew()
        return self._pair.not_after.timestamp()

    def _show(self, connection: ssl.SSLObject, _name: str | None, _context: object) -> None:
        self._renew()
        connection.context = self._pair.context

    def _renew(self) -> None:
        """Take what lies in the files now, if that has changed and is a pair."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._pair = _read(*self._files)
        except CertificateError as error:
            _log.error("the receiver keeps its old certificate: %s", error)
        else:
            _log.info("the receiver has a new certificate, valid until %s", self._pair.not_after)

    def _stamp(self) -> tuple[object, ...]:
        return tuple(_stamp(file) for file in self._files)


def _stamp(file: Path) -> object:
    """What changes whenever a file does, also when a link on the way to it is swapped."""
    try:
        stat = file.stat()
    except OSError as error:
        return error.errno
    return (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)


def _read(certificate: Path, key: Path) -> _Pair:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
        return _Pair(context, not_after(certificate.read_text("utf-8")))
    except (OSError, ValueError):
        raise CertificateError(
            f"{certificate} and {key} are no certificate with its key: "
            "have the Secret with tls.crt and tls.key mounted there, the key not encrypted"
        ) from None


def _no_password() -> str:
    # Without this OpenSSL would ask for one at the terminal.
    return ""


# --- when it ends, and when others do -----------------------------------------------------------


def ends_of(folder: Path) -> dict[str, float]:
    """When the certificates in NAME/tls.crt below a folder end, by name, in seconds since 1970.

    One that cannot be read counts as ended long ago, so that somebody looks at it.
    """
    return {file.parent.name: _end_of(file) for file in folder.glob("*/tls.crt")}


def _end_of(file: Path) -> float:
    try:
        return not_after(file.read_text("utf-8")).timestamp()
    except (OSError, ValueError):
        return 0.0


def not_after(pem: str) -> datetime:
    """Until when the first certificate of a PEM text is valid.

    The standard library tells this of a peer's certificate alone, not of one's own.

    Raises:
        ValueError: It holds no certificate.
    """
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    block = pem[pem.index(begin) : pem.index(end) + len(end)]
    ((_, whole),) = _parts(ssl.PEM_cert_to_DER_cert(block))
    (_, signed), *_ = _parts(whole)
    _, _, _, (_, validity), *_ = (part for part in _parts(signed) if part[0] != _VERSION)
    _, (kind, text) = _parts(validity)
    form = "%y%m%d%H%M%SZ" if kind == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC)


def _parts(der: bytes) -> list[tuple[int, bytes]]:
    """The elements that follow one another in a text of ASN.1's DER: tag and content of each."""
    found: list[tuple[int, bytes]] = []
    while len(der) > 1:
        tag, length, start = der[0], der[1], 2
        if length >= _LONG_FORM:
            start += length - _LONG_FORM
            length = int.from_bytes(der[2:start], "big")
        found.append((tag, der[start : start + length]))
        der = der[start + length :]
    return found
