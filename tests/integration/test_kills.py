"""R1: the pipeline killed at each of its steps and run again ends as if nothing had happened."""

import pytest

from sales_api.report import Fate
from tests.support.killer import AGAIN, FIRST_LOAD, LOAD, MIGRATION, REFUSAL
from tests.support.sales_file import as_csv, order, sale, sales

pytestmark = [pytest.mark.integration, pytest.mark.slow]

KEY = "raw/2024/march.csv"
SIGKILL = -9
BLOCK_BYTES = 2000
EARLIER = as_csv(sales(range(30, 50), quantity=7, data_collected_at="2024-03-02"))
"""Wins over the file under test in half of the orders that both have."""
ROWS = [
    *(sale(order(n), quantity=n + 1, customer_email=f"c{n % 7}@example.com") for n in range(40)),
    *sales(range(40, 45), data_collected_at="2024-03-03", quantity=9),
    *sales(range(5), data_collected_at="2024-03-04", quantity=5, product_rating="1.5"),
    sale("short"),
    sale(order(90), quantity=0),
    sale(order(91), customer_email="nobody", discount_percentage=101),
]
FILE = as_csv(ROWS)
REJECTED = 3
DISTINCT = {row["order_id"] for row in ROWS} | {order(n) for n in range(30, 50)}
COUNTS = ("rows_read", "rows_loaded", "rows_rejected", "rows_deduplicated")
STRICT = {"quality": {"maxRejectedRows": 0}}


def deliver(sandbox):
    """A platform with one object loaded and one that waits; tells the latter."""
    sandbox.run(sandbox.request(sandbox.put("raw/earlier.csv", EARLIER)))
    return sandbox.put(KEY, FILE)


def die(sandbox, point, *command, environ):
    """Run the program until the point at which it must die."""
    environ = {**environ, "SALES_BLOCK_BYTES": str(BLOCK_BYTES)}
    ended = sandbox.spawn("tests.support.killer", point, "--", *command, environ=environ)
    assert ended.returncode == SIGKILL, ended.stderr


@pytest.fixture(scope="module")
def calm(installation):
    """The star before and after the file under test, loaded without any disturbance."""
    with installation.sandbox() as sandbox:
        ref = deliver(sandbox)
        before = sandbox.checksum()
        sandbox.with_settings(block_bytes=BLOCK_BYTES).run(sandbox.request(ref))
        assert_loaded(sandbox)
        return before, sandbox.checksum()


def assert_loaded(sandbox):
    """Nothing lost, nothing doubled: star, ledger, rejects and bucket."""
    (row,) = [
        row
        for row in sandbox.ledger("key", "status", *COUNTS, "archived_key", "object_id")
        if row[0] == KEY
    ]
    _, status, read, loaded, rejected, deduplicated, archived, object_id = row
    assert (status, read, rejected) == ("loaded", len(ROWS), REJECTED)
    assert read == loaded + rejected + deduplicated
    assert sandbox.value("SELECT count(*) FROM fact_sales") == len(DISTINCT) - REJECTED
    rejects = "SELECT count(DISTINCT row_number), count(*) FROM ingest_reject WHERE object_id = %s"
    assert sandbox.query(rejects, [object_id]) == [(REJECTED, REJECTED + 1)]
    assert sandbox.traces("raw/") == []
    assert [key for key in sandbox.listing("processed/") if "march" in key] == [archived]
    assert sandbox.read(archived) == FILE
    in_quarantine = archived.replace("processed/", "quarantine/", 1)
    assert sandbox.listing("quarantine/") == [f"{in_quarantine}.rejects.csv"]


def in_ledger(sandbox):
    return sandbox.value("SELECT count(*) FROM ingest_object WHERE key = %s", [KEY]) == 1


def contents(sandbox):
    """What lies under the object's names, before and after its move."""
    archived = [key for key in sandbox.listing("processed/") if "march" in key]
    return {sandbox.read(key) for key in (*sandbox.listing(KEY), *archived)}


def next_fate(sandbox):
    """What the next run must say of the object, told from what the killed one left behind."""
    if not sandbox.listing(KEY):
        return Fate.GONE
    return Fate.ALREADY_LOADED if in_ledger(sandbox) else Fate.LOADED


@pytest.mark.parametrize("point", LOAD)
def test_killed_load(platform, calm, point):
    """Killed on the way of a load: all or nothing is there, and the next run completes it."""
    before, after = calm
    request = platform.request(deliver(platform))
    die(platform, point, "run", environ=platform.environ(request))

    assert platform.checksum() == (after if in_ledger(platform) else before)
    assert contents(platform) == {FILE}
    expected = next_fate(platform)

    (result,) = platform.run(request)
    assert result.fate is expected
    assert platform.checksum() == after
    assert_loaded(platform)
    assert platform.sweep() == []


@pytest.mark.parametrize("point", FIRST_LOAD)
def test_killed_first_load(platform, point):
    """Killed while orders that nobody has yet are added in one go: the next run completes it."""
    request = platform.request(platform.put(KEY, EARLIER))
    die(platform, point, "run", environ=platform.environ(request))
    expected = next_fate(platform)
    facts = "SELECT count(*), count(DISTINCT order_id) FROM fact_sales"
    assert platform.query(facts) == ([(20, 20)] if in_ledger(platform) else [(0, 0)])

    (result,) = platform.run(request)
    assert result.fate is expected
    assert platform.query(facts) == [(20, 20)]
    assert platform.listing() == [result.archived_key]


@pytest.mark.parametrize("point", REFUSAL)
def test_killed_refusal(platform, point):
    """Killed on the way to quarantine: the next run ends with object, reason, rejects and row."""
    request = platform.request(deliver(platform), **STRICT)
    star = platform.checksum()
    die(platform, point, "run", environ=platform.environ(request))
    expected = Fate.QUARANTINED if platform.listing(KEY) else Fate.GONE

    (result,) = platform.run(request)
    assert result.fate is expected
    assert platform.checksum() == star
    row = platform.query(
        "SELECT status, error_code, rows_read, rows_rejected, archived_key FROM ingest_object"
        " WHERE key = %s",
        [KEY],
    )
    archived = row[0][-1]
    assert row == [("quarantined", "file.rejected_rows", len(ROWS), len(ROWS), archived)]
    places = [archived, f"{archived}.reason.json", f"{archived}.rejects.csv"]
    assert platform.listing("quarantine/") == places
    assert platform.read(archived) == FILE
    assert platform.traces("raw/") == []


@pytest.mark.parametrize("point", AGAIN)
def test_killed_reprocess(platform, calm, point):
    """Killed while a refused object is read again: the same command completes it."""
    _, after = calm
    platform.run(platform.request(deliver(platform), **STRICT))
    environ = platform.environ(platform.request(run="r2"))
    die(platform, point, "reprocess", "--quarantined", environ=environ)

    again = platform.spawn("sales_pipeline", "reprocess", "--quarantined", environ=environ)
    assert again.returncode == 0, again.stderr
    assert platform.checksum() == after
    assert_loaded(platform)


@pytest.mark.parametrize("point", MIGRATION)
def test_killed_migration(installation, calm, point):
    """Killed while migrating: nothing is there, the next migration does all of it."""
    _, after = calm
    with installation.sandbox(migrated=False) as bare:
        environ = bare.with_settings(credentials_dir=bare.owner.credentials_dir).environ()
        die(bare, point, "migrate", environ=environ)
        assert bare.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'sales'") == 0

        assert bare.spawn("sales_pipeline", "migrate", environ=environ).returncode == 0
        bare.run(bare.request(deliver(bare)))
        assert bare.checksum() == after
