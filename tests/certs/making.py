"""Folders of certificates as tests want them, and what is in one, byte for byte."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from certs.authority import make_authority, sign
from certs.folder import open_folder
from certs.issue import issue
from certs.plan import Found, Wanted
from certs.services import SERVICES

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = [service.name for service in SERVICES]
WANTED = Wanted({service.name: service.names("minidata") for service in SERVICES})
ALL_NAMES = [name for names in WANTED.names.values() for name in names]


def issued(path, now=NOW, days=90, **wishes):
    """Issue into a folder; returns what became of each certificate: why it was issued, or None."""
    with open_folder(path, create=True) as folder:
        plan, _ = issue(folder, replace(WANTED, **wishes), now, days)
    return {step.name: step.why for step in (plan.authority, *plan.leaves)}


def now():
    """The real time, for clients that know no other."""
    return datetime.now(UTC).replace(microsecond=0)


def contents(path):
    """Every file's bytes by name."""
    return {file.name: file.read_bytes() for file in path.iterdir()}


def found(path, authority, leaves, bundle=None):
    """What a folder with these would hold."""
    bundle = (authority.certificate,) if bundle is None else tuple(bundle)
    return Found(path / "ca.pem", authority, bundle, leaves)


def fresh(authority=None, at=NOW, days=90):
    """A CA and a certificate for each service, never written anywhere."""
    authority = authority or make_authority(ALL_NAMES, at)
    leaves = {name: sign(authority, name, WANTED.names[name], at, days) for name in NAMES}
    return authority, leaves


def openssl(*words, folder):
    """Run OpenSSL's command line and return what it says."""
    done = subprocess.run(
        ["openssl", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout + done.stderr
