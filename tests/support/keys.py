"""Keys of the pseudonyms that come and go, and a star told in terms of one of them."""

import base64
import hashlib
import hmac
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from tests.support.checksum import Star
from tests.support.platform import Sandbox

KEYS = {version: bytes([version]) * 32 for version in range(1, 5)}


def secret(newest: int, *earlier: int) -> dict[str, object]:
    """The secret `pseudonym` with these versions of the keys."""
    text = {version: base64.b64encode(key).decode() for version, key in KEYS.items()}
    previous = {str(version): text[version] for version in earlier}
    content = {"key": text[newest], "key_version": newest}
    return {**content, "previous_keys": previous} if earlier else content


def with_keys(sandbox: Sandbox, folder: Path, newest: int, *earlier: int) -> Sandbox:
    """The platform as runs see it whose secret has these keys."""
    made = folder / "-".join(["keys", *map(str, (newest, *earlier))])
    shutil.copytree(sandbox.settings.credentials_dir, made, dirs_exist_ok=True)
    (made / "pseudonym").write_text(json.dumps(secret(newest, *earlier)))
    return sandbox.with_settings(credentials_dir=made)


def keyed(email: str, version: int) -> str:
    """An address under a key."""
    return hmac.new(KEYS[version], email.lower().encode(), hashlib.sha256).hexdigest()


def as_of_first_key(star: Star, emails: Iterable[str]) -> Star:
    """The star as if there had never been another key; each row must tell its version truly."""
    owners = {(keyed(email, v), v): keyed(email, 1) for email in emails for v in KEYS}
    customers = sorted((owners[row[:2]], 1, *row[2:]) for row in star.customers)
    names = {pseudonym: first for (pseudonym, _), first in owners.items()}
    facts = sorted((*row[:2], names[row[2]], *row[3:]) for row in star.facts)
    return Star(facts, customers, star.products)
