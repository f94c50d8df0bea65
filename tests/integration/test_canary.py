"""R7: invented people are sent through everything that can happen, then looked for everywhere."""

import gzip
import io
import json
from itertools import count

import pytest
from rich.console import Console

from sales_api.report import ExitCode, Fate
from sales_pipeline import summary
from tests.support.canary import Canary, places, sightings
from tests.support.command import command
from tests.support.sales_file import as_csv, order, sale
from tests.support.sales_record import COLUMNS

pytestmark = [pytest.mark.integration, pytest.mark.slow]

numbers = count(1)
KEEP = {"privacy": {"customerName": "Keep"}}
POINTS = (
    "after the first batch is made",
    "after the first batch is staged",
    "after the customers",
    "before the rejects are stored",
    "between copy and delete",
)


def person(**changes):
    """A row about a new canary."""
    number = next(numbers)
    return sale(**{"order_id": order(number), **Canary(number).as_columns(), **changes})


def line(row):
    return as_csv([row]).split(b"\n", 1)[1]


def shifted(row, by):
    """The row with its cells moved, so that personal data stand in the columns of others."""
    cells = list(row.values())
    return dict(zip(row, cells[-by:] + cells[:-by], strict=True))


def misplaced():
    """Rows in which personal data stand in one more column than they should.

    A title is free text and may be a name by right, so those columns are left out.
    """
    canary = Canary(next(numbers))
    texts = (canary.name, canary.email, canary.phone, canary.address)
    columns = [name for name in COLUMNS if not name.startswith("product_") or "rating" in name]
    return [person(**{column: text}) for column in columns for text in texts]


def broken_rows():
    return [
        person(order_id="short"),
        person(customer_name=" "),
        person(customer_email="zqxjv at nowhere"),
        person(customer_phone="917-48" + "0" * 60),
        person(customer_address="Zqxjvstreet" * 100),
        person(product_title=""),
        person(product_rating=9),
        person(discounted_price="-1"),
        person(quantity="many"),
        person(order_date="tomorrow"),
        *(shifted(person(), by) for by in range(1, 16)),
        *misplaced(),
    ]


HEADER = ",".join(COLUMNS).encode() + b"\n"
GOOD = as_csv(person() for _ in range(20))
MIXED = (
    as_csv([*(person() for _ in range(30)), *broken_rows()])
    + line(person(customer_address="Zqxjvstreet")).replace(b"\n", b",Zqxjv,917-480-1234\n")
    + b"Zqxjvanna,Zqxjvbeth,917-480-1234\n"
    + b'ORD-1,"Zqxjv"anna,"zqxjv@example.com\n'
    + line(person())
    + b"\x00Zqxjv,\xc2\xa0\n"
    + b'"Zqxjv never closed,' * 3
)
FILES = {
    "good.csv": GOOD,
    "mixed.csv": MIXED,
    "no header.csv": GOOD.split(b"\n", 1)[1],
    "other columns.csv": GOOD.replace(b"customer_email", b"mail", 1),
    "one more column.csv": GOOD.replace(b"quantity", b"quantity,extra", 1),
    "semicolons.csv": GOOD.replace(b",", b";", 3),
    "latin.csv": GOOD + line(person()).replace(b"Zqxjvanna", b"Zqxjvj\xfcrgen"),
    "cut off.csv": GOOD.decode().encode("utf-16")[:-1],
    "cut off.csv.gz": gzip.compress(MIXED)[:-9],
    "damaged.csv.gz": gzip.compress(MIXED)[:40] + b"Zqxjv" + gzip.compress(MIXED)[60:],
    "empty.csv": b"",
    "only a header.csv": HEADER,
    "no rows.csv": HEADER + b"Zqxjvanna Zqxjvbeth\n" * 5,
    "marked.csv": GOOD + line(person()).replace(b"Zqxjvanna", "Zqxjv\ufffdanna".encode()),
}
LOADED = 3
SPEC = {"quality": {"maxRejectedRatio": "0.97"}}


def prints(results):
    """What a person at a terminal reads."""
    console = Console(file=io.StringIO(), width=200)
    summary.show(console, results, seconds=1)
    return console.file.getvalue().encode()


@pytest.fixture(scope="module")
def sandbox(installation):
    with installation.sandbox() as made:
        yield made


@pytest.fixture(scope="module")
def job(sandbox, tmp_path_factory):
    """What the run said: exit code, output, log and report."""
    for name, body in FILES.items():
        sandbox.put(f"raw/{name}", body)
    report = tmp_path_factory.mktemp("job") / "termination"
    environ = sandbox.environ(sandbox.request(**SPEC), termination_log=report)
    ended = sandbox.spawn("sales_pipeline", "run", environ=environ)
    said = {"output": ended.stdout, "log": ended.stderr, "report": report.read_text()}
    return ended.returncode, {name: text.encode() for name, text in said.items()}


class TestEveryWay:
    """One run over every kind of file, told by a Job, a shell and a terminal."""

    def test_the_run_did_all_of_it(self, sandbox, job):
        """The files were loaded, partly rejected and refused, as they were made to be."""
        code, said = job
        files = json.loads(said["report"])["files"]
        assert code == ExitCode.DATA
        assert files["loaded"] == LOADED
        assert files["quarantined"] == len(FILES) - LOADED
        assert sandbox.listing("raw/") == []
        codes = {code for (code,) in sandbox.query("SELECT DISTINCT code FROM ingest_reject")}
        assert len(codes) >= 20
        assert {"row.malformed", "row.too_few_fields", "row.too_many_fields"} <= codes

    @pytest.mark.usefixtures("job")
    def test_what_is_kept(self, sandbox):
        """Database, quarantine and server logs hold no canary."""
        found = places(sandbox)
        rejects = [place for place in found if place.endswith(".rejects.csv")]
        assert sum(place.startswith("object ") for place in rejects) == 3
        assert sightings(found) == []

    def test_what_was_said(self, job):
        """Neither output nor log nor report of the run names a canary."""
        assert sightings(job[1]) == []

    @pytest.mark.parametrize(
        "options", [["--json"], [], ["-o", "raw/mixed.csv"], ["-o", "raw/no header.csv"]]
    )
    @pytest.mark.usefixtures("job")
    def test_history(self, sandbox, options):
        """What the ledger tells people names no canary."""
        ended = command("history", "-b", sandbox.bucket, *options, environ=sandbox.environ())
        assert (ended.code, len(ended.out) > 100) == (ExitCode.DONE, True)
        assert sightings({"out": ended.out.encode(), "err": ended.err.encode()}) == []

    @pytest.mark.parametrize("name", FILES)
    def test_check(self, name, tmp_path):
        """The dry run of each file names no canary."""
        file = tmp_path / "file.csv"
        file.write_bytes(FILES[name])
        ended = command("check", str(file))
        assert ended.code in (ExitCode.DONE, ExitCode.DATA)
        assert "file.csv" in ended.out
        assert sightings({"out": ended.out.encode(), "err": ended.err.encode()}) == []

    @pytest.mark.usefixtures("job")
    def test_reprocess(self, sandbox):
        """Reading everything again, under another contract, shows no canary either."""
        spec = SPEC | {"format": {"fallbackEncoding": "cp1252"}, "privacy": {"email": "Sha256"}}
        environ = sandbox.environ(sandbox.request(run="r2", **spec))
        ended = command("reprocess", "--contract-changed", environ=environ)
        assert ended.code == ExitCode.DATA
        said = {"out": ended.out.encode(), "err": ended.err.encode()}
        assert sightings(said | places(sandbox)) == []


def test_terminal(platform):
    """The summary for people names no canary."""
    for name, body in FILES.items():
        platform.put(f"raw/{name}", body)
    results = platform.sweep(**SPEC)
    assert {r.fate for r in results} == {Fate.LOADED, Fate.QUARANTINED}
    text = prints(results)
    assert b"rejected because" in text
    assert sightings({"terminal": text}) == []


@pytest.mark.parametrize("point", POINTS)
def test_crash(platform, point):
    """An unexpected error whose text quotes a canary ends the run without a word of it."""
    platform.put("raw/mixed.csv", MIXED)
    environ = platform.environ(platform.request(**SPEC))
    canary = Canary(next(numbers))
    text = f"cannot parse {canary.email} {canary.phone}"
    ended = platform.spawn("tests.support.killer", point, text, "--", "run", environ=environ)
    assert ended.returncode == 1
    last = json.loads(ended.stderr.splitlines()[-1])
    assert (last["event"], last["level"]) == ("crashed", "critical")
    assert last["error"].startswith("RuntimeError < killer.py:")
    said = {"out": ended.stdout.encode(), "err": ended.stderr.encode()}
    assert sightings(said | places(platform)) == []


def test_database_error(platform, tmp_path):
    """An error of the database that quotes a row is told without quoting it."""
    platform.query(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'bad name: %', new.customer_name; END $$"
    )
    platform.query(
        "CREATE TRIGGER refuse BEFORE INSERT ON dim_customer FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    platform.put("raw/good.csv", GOOD)
    report = tmp_path / "termination"
    environ = platform.environ(platform.request(**KEEP), termination_log=report)
    ended = command("run", environ=environ)
    assert ended.code == ExitCode.CONFIGURATION
    assert "SQLSTATE P0001" in ended.last_words
    said = {"out": ended.out.encode(), "err": ended.err.encode(), "report": report.read_bytes()}
    assert sightings(said) == []


class TestSearch:
    """The search finds what is there: otherwise nothing above would mean anything."""

    def test_in_the_database(self, platform):
        """A name in any column of any table is found."""
        platform.query(
            "INSERT INTO ingest_reject VALUES (1, 1, 'customer_name', %s)", [Canary(1).name]
        )
        assert sightings(places(platform)) == ["table sales.ingest_reject"]

    def test_in_quarantine(self, platform):
        """A mail in an object of quarantine, and one in a key, are found."""
        platform.put("quarantine/a.rejects.csv", Canary(1).email.encode())
        platform.put(f"processed/{Canary(2).email}", b"")
        assert sightings(places(platform)) == [
            f"name and metadata of processed/{Canary(2).email}",
            "object quarantine/a.rejects.csv",
        ]

    @pytest.mark.parametrize(
        "text",
        [
            Canary(7).name.upper(),
            Canary(7).email,
            Canary(7).address,
            Canary(7).phone,
            Canary(7).phone.replace("-", ""),
            "(917) 487-0007",
            json.dumps(Canary(7).address),
        ],
    )
    def test_in_any_spelling(self, text):
        """A canary is found in whatever letters it is written."""
        assert sightings({"here": text.encode(), "there": b"nothing"}) == ["here"]
        assert sightings({"wide": Canary(7).name.lower().encode("utf-16-le")}) == ["wide"]

    def test_not_in_what_may_be_kept(self):
        """Initials, the last four digits and a pseudonym are no sighting."""
        kept = b"Z.Z. ***-***-0007 [redacted] 5c9b7c0f6f0e4d8a"
        assert sightings({"kept": kept}) == []
