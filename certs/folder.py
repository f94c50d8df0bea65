"""The door to the folder of certificates.

    ca.pem      the CA's key and certificate                         0600
    ca.crt      the CAs that clients trust, current one first        0644
    NAME.pem    a service's key and certificate                      0600

A key and its certificate are one file, and each file comes into being by one rename: whenever a
run is cut off, every file is whole and every pair is a pair.
"""

import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from certs.errors import CertsError
from certs.pair import Damaged, Pair, certificate_pem, parse_certificates, parse_pair
from certs.plan import Found

_SECRET: Final = 0o600
_PUBLIC: Final = 0o644
_OTHERS: Final = 0o077
_CA: Final = "ca"


@dataclass(frozen=True)
class Folder:
    """A folder of certificates, locked by `open_folder`."""

    path: Path

    @property
    def bundle_file(self) -> Path:
        """What clients are given."""
        return self.path / "ca.crt"

    def pair_file(self, name: str) -> Path:
        """Where a service's key and certificate are."""
        return self.path / f"{name}.pem"

    def look(self, names: Iterable[str]) -> Found:
        """Read everything.

        Args:
            names: The services whose certificates are wanted.

        Raises:
            CertsError: A file is there but may not be read, or `ca.crt` is no bundle.
        """
        return Found(
            authority_file=self.pair_file(_CA),
            authority=self._read_pair(_CA),
            bundle=self._read_bundle(),
            leaves={name: self._read_pair(name) for name in names},
        )

    def write_authority(self, authority: Pair) -> None:
        """Let this CA take the place of the present one."""
        self._publish(self.pair_file(_CA), authority.to_pem(), _SECRET)

    def write_leaf(self, name: str, leaf: Pair) -> None:
        """Let this certificate take the place of the service's present one."""
        self._publish(self.pair_file(name), leaf.to_pem(), _SECRET)

    def write_bundle(self, certificates: Iterable[x509.Certificate]) -> None:
        """Trust exactly these CAs from now on."""
        pem = certificate_pem(certificates)
        if _read(self.bundle_file) != pem:
            self._publish(self.bundle_file, pem, _PUBLIC)

    def tidy(self, names: Iterable[str]) -> None:
        """Keep git and other users out, and remove what a run that was cut off left behind.

        Args:
            names: The services; files of others are left alone.
        """
        secrets = [self.pair_file(name) for name in (_CA, *names)]
        ignore = self.path / ".gitignore"
        for file in (*secrets, self.bundle_file, ignore):
            with _explained(file, "cannot be written", _WRITABLE):
                _draft(file).unlink(missing_ok=True)
        for secret in secrets:
            with _explained(secret, "cannot be kept from other users", _WRITABLE):
                if secret.is_file() and stat.S_IMODE(secret.stat().st_mode) & _OTHERS:
                    secret.chmod(_SECRET)
        if not ignore.exists():
            self._publish(ignore, b"*\n", _PUBLIC)

    def _read_pair(self, name: str) -> Pair | Damaged | None:
        pem = _read(self.pair_file(name))
        return None if pem is None else parse_pair(pem)

    def _read_bundle(self) -> tuple[x509.Certificate, ...]:
        pem = _read(self.bundle_file)
        if pem is None:
            return ()
        try:
            return tuple(parse_certificates(pem))
        except ValueError:
            raise CertsError(
                "it holds no certificate that can be read",
                where=self.bundle_file,
                mend="Delete it and run `python -m certs issue`, which makes it from ca.pem; "
                "CAs of before are no longer trusted then.",
            ) from None

    def _publish(self, file: Path, content: bytes, mode: int) -> None:
        draft = _draft(file)
        with _explained(file, "cannot be written", _WRITABLE):
            try:
                _write(draft, content, mode)
                draft.replace(file)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
            _flush_folder(self.path)


@contextmanager
def open_folder(path: Path, *, create: bool = False) -> Iterator[Folder]:
    """Hold the folder's lock, which ends with the process if not before.

    Args:
        path: The folder.
        create: Make it if need be, and keep everybody else out; without, other readers may be in.

    Raises:
        CertsError: It does not exist, or cannot be made or read.
    """
    if create:
        with _explained(path, "cannot be made", _WRITABLE):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.is_dir():
        raise CertsError("no such folder", where=path, mend="Run `python -m certs issue` first.")
    with _explained(path, "cannot be read", _WRITABLE):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with _explained(path, "cannot be locked", "Choose a folder on a local disk with --out."):
            fcntl.flock(handle, fcntl.LOCK_EX if create else fcntl.LOCK_SH)
        yield Folder(path)
    finally:
        os.close(handle)


_WRITABLE: Final = "Make its folder writable for you, or choose another with --out."


@contextmanager
def _explained(where: Path, what: str, mend: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CertsError(f"{what} ({error.strerror})", where=where, mend=mend) from error


def _draft(file: Path) -> Path:
    return file.with_name(f".{file.name}.new")


def _read(file: Path) -> bytes | None:
    with _explained(file, "cannot be read", "Make it a file that you may read, or move it away."):
        try:
            return file.read_bytes()
        except FileNotFoundError:
            return None


def _write(file: Path, content: bytes, mode: int) -> None:
    # O_EXCL: nobody's link is followed; `tidy` has removed what was left behind under this name.
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as stream:
        os.fchmod(handle, mode)  # whatever the umask took away
        stream.write(content)
        stream.flush()
        os.fsync(handle)


def _flush_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
