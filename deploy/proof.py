"""The proof that the platform works: a file of sales becomes rows."""

import csv
import json
import re
import secrets
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cluster.shell import ClusterError, run
from deploy import helper
from deploy.door import Door, program
from deploy.place import BUCKET, Place

ALIAS = "minidata"
SUPPLIER = "sales-supplier"
"""Service account, role in Vault and user of the object store: it may put objects under raw/."""
SUPPLIERS_KEY = "sales/supplier-object-store"
STORE_PORT = 9000
ROWS = 1000
SEEDS, TRIES = 1_000_000, 10
LIMIT_SECONDS = 300.0
PAUSE_SECONDS = 1.0
_ASK = """
SELECT format('%s: %s of %s rows', status, (
    SELECT count(*) FROM fact_sales AS f WHERE f.object_id = o.object_id
), rows_loaded) FROM ingest_object AS o WHERE key = '{key}' AND superseded_by IS NULL
"""
_KNOWN = "SELECT count(*) || ' known' FROM fact_sales WHERE order_id IN ({orders})"
_LOOKED_AT = 20
_ANSWER = re.compile(r"(\w+): (\d+) of (\d+) rows")


@dataclass(frozen=True)
class Loaded:
    """What the warehouse has of an object."""

    status: str
    rows: int


def prove(door: Door) -> tuple[str, int]:
    """Put a file under raw/, and wait until its rows are in the warehouse.

    Returns:
        The key of the object, and how many rows.

    Raises:
        ClusterError: It cannot be put, was refused, or is not there in time.
    """
    key = f"raw/up-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.csv"
    with tempfile.TemporaryDirectory() as folder, door.forward("service/minio", STORE_PORT) as port:
        file = _new_file(door.place, Path(folder))
        configuration = Path(folder) / "mc"
        write_client(door.place, configuration, port)
        put(configuration, file, key)
    return key, _until_loaded(door, key)


def put(configuration: Path, file: Path, key: str) -> None:
    """Bring a file into the bucket as its supplier."""
    target = f"{ALIAS}/{BUCKET}/{key}"
    run([program("mc"), "--config-dir", configuration, "--quiet", "cp", file, target])


def write_client(place: Place, folder: Path, port: int) -> None:
    """Write what `mc` needs to be the supplier: address, key, and the CA to trust."""
    access, secret = helper.reveal(place, SUPPLIER, SUPPLIERS_KEY, "access_key", "secret_key")
    alias = {"url": f"https://localhost:{port}", "api": "s3v4", "path": "auto"}
    alias |= {"accessKey": access, "secretKey": secret}
    trusted = folder / "certs" / "CAs" / "ca.crt"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    trusted.parent.mkdir(parents=True, exist_ok=True)
    trusted.write_bytes((place.certificates / "ca.crt").read_bytes())
    config = folder / "config.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps({"version": "10", "aliases": {ALIAS: alias}}), encoding="utf-8")


def _new_file(place: Place, folder: Path) -> Path:
    """A generated file of orders that nobody has sent before: others might not become rows."""
    for _ in range(TRIES):
        file = _generate(folder, secrets.randbelow(SEEDS))
        if " 0 known" in helper.query(place, _KNOWN.format(orders=_orders(file))):
            return file
    raise ClusterError(f"{TRIES} generated files have orders that are in the warehouse already")


def _orders(file: Path) -> str:
    """Some of a file's orders, as SQL has a list."""
    with file.open(encoding="utf-8", newline="") as lines:
        orders = [row["order_id"] or "" for row in islice(csv.DictReader(lines), _LOOKED_AT)]
    # Some rows are bad on purpose.
    return ", ".join(f"'{order}'" for order in orders if order.isalnum())


def _generate(folder: Path, seed: int) -> Path:
    generate = Path(sys.executable).with_name("sales-pipeline")
    run([generate, "generate", "--to", folder, "--rows", str(ROWS), "--seed", str(seed)])
    (file,) = folder.glob("*.csv")
    return file


def _until_loaded(door: Door, key: str) -> int:
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        loaded = understood(helper.query(door.place, _ASK.format(key=key)))
        if loaded and loaded.status != "loaded":
            raise ClusterError(f"{key} was refused: it is {loaded.status}", where="ingest_object")
        if loaded and loaded.rows:
            return loaded.rows
        time.sleep(PAUSE_SECONDS)  # the warehouse does not tell when rows come, so it must be asked
    raise ClusterError(f"{key} has not become rows within {LIMIT_SECONDS:.0f} s")


def understood(answer: str) -> Loaded | None:
    """What psql's answer says; None where the ledger does not know the object yet."""
    found = _ANSWER.search(answer)
    return Loaded(found[1], int(found[2])) if found else None
