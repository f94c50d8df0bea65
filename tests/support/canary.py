"""Invented people whose data can be told from everything else, and a search for them everywhere."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.platform import Sandbox

MARK = "zqxjv"
"""Part of every canary's name, mail and address, and of nothing else in the world."""

PHONE = re.compile(rb"917[^0-9]{0,3}48[0-9]")
"""The part of a canary's phone number that must not be seen; the last four digits may."""

_WORD = re.compile(MARK.encode(), re.IGNORECASE)
_WIDE_WORD = re.compile(re.escape(MARK.encode("utf-16-le")), re.IGNORECASE)
_TABLES = """
SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""
_CATALOGUES = {
    "statistics": "SELECT tablename, attname, most_common_vals, histogram_bounds FROM pg_stats",
    "activity": "SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
    "comments": "SELECT description FROM pg_description",
}


@dataclass(frozen=True)
class Canary:
    """One invented person."""

    number: int

    @property
    def name(self) -> str:
        return f"Zqxjvanna{self.number} Zqxjvbeth{self.number}"

    @property
    def email(self) -> str:
        return f"zqxjvmail{self.number}@zqxjv{self.number}.example.com"

    @property
    def phone(self) -> str:
        return f"917-48{self.number % 10}-{self.number:04}"

    @property
    def address(self) -> str:
        return f"{self.number} Zqxjvstreet\nZqxjvtown"

    def as_columns(self) -> dict[str, str]:
        return {
            "customer_name": self.name,
            "customer_email": self.email,
            "customer_phone": self.phone,
            "customer_address": self.address,
        }


def places(sandbox: Sandbox) -> dict[str, bytes]:
    """Every place that outlives a run, by name: database, quarantine, listings, server logs."""
    logs = {f"server log {log.path.name}": log.read() for log in sandbox.logs}
    return {**_database(sandbox), **_bucket(sandbox), **logs}


def _database(sandbox: Sandbox) -> dict[str, bytes]:
    queries = {f"table {s}.{t}": f'TABLE "{s}"."{t}"' for s, t in sandbox.query(_TABLES)}
    with sandbox.connect() as connection:
        found = {}
        for place, query in (queries | _CATALOGUES).items():
            with connection.cursor().copy(f"COPY ({query}) TO STDOUT") as copy:
                found[place] = b"".join(copy)
    return found


def _bucket(sandbox: Sandbox) -> dict[str, bytes]:
    """Names and metadata of all objects, and the contents of all that are not originals."""
    archived = "SELECT archived_key FROM ingest_object"
    originals = {key for (key,) in sandbox.query(archived)}
    found = {}
    for key in sandbox.listing():
        answer = sandbox.s3.get_object(Bucket=sandbox.bucket, Key=key)
        body = answer["Body"].read()
        found[f"name and metadata of {key}"] = f"{key} {answer['Metadata']}".encode()
        if key not in originals and not key.startswith("raw/"):
            found[f"object {key}"] = body
    return found


def sightings(haystacks: Mapping[str, bytes]) -> list[str]:
    """The places where a canary is seen."""
    patterns = (_WORD, _WIDE_WORD, PHONE)
    return [place for place, text in haystacks.items() if any(p.search(text) for p in patterns)]
