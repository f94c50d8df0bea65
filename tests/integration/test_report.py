"""What a run tells: the bounded report, the exit code, and logs for machines."""

import json
from unittest.mock import Mock

import pytest

from sales_api.report import MAX_REPORT_BYTES, ExitCode, Fate, RunReport
from sales_pipeline.bucket import Bucket
from sales_pipeline.errors import ConfigurationError, TemporaryError
from tests.support.command import command
from tests.support.platform import no_pauses
from tests.support.sales_file import as_csv, order, sale, sales

pytestmark = pytest.mark.integration

GOOD = as_csv(sales(range(10)))
PARTLY_BAD = as_csv([*sales(range(20, 25)), sale("x"), sale(order(26), quantity=0)])
DUPLICATES = as_csv(sales([30, 30, 30, 31]))
WHOLE_BAD = b"no,such,header\n1,2,3\n"


@pytest.fixture
def mixed(platform):
    """A request for objects of every kind, one of which is gone."""
    bodies = {"good": GOOD, "partly": PARTLY_BAD, "twice": DUPLICATES, "bad": WHOLE_BAD}
    refs = [platform.put(f"raw/{name}.csv", body) for name, body in bodies.items()]
    gone = refs[0].model_copy(update={"key": "raw/gone.csv"})
    return platform, platform.request(*refs, gone, refs[0], run="mixed")


@pytest.fixture
def told(tmp_path):
    """Run a request as a Job does; tells how it ended and its report."""

    def run(sandbox, request):
        log = tmp_path / "termination"
        ended = command("run", environ=sandbox.environ(request, termination_log=log))
        message = log.read_bytes()
        assert len(message) <= MAX_REPORT_BYTES
        return ended, RunReport.parse(message)

    return run


@pytest.fixture
def failing(monkeypatch):
    """Reading this object raises this error."""
    no_pauses(monkeypatch)

    def arm(key, error):
        def read(bucket, ref):
            if ref.key == key:
                raise error
            return original(bucket, ref)

        monkeypatch.setattr(Bucket, "read", read)

    original = Bucket.read
    return arm


class TestReport:
    def test_mixed_batch(self, mixed, told):
        """Every object and every row is counted once, under what became of it."""
        sandbox, request = mixed
        ended, report = told(sandbox, request)
        assert report.files.model_dump() == {
            "loaded": 3, "already_loaded": 0, "quarantined": 1, "gone": 2, "failed": 0,
        }  # fmt: skip
        assert report.rows.model_dump() == {
            "read": 21, "loaded": 17, "rejected": 2, "deduplicated": 2,
        }  # fmt: skip
        assert report.reject_codes == {"order_id.length": 1, "quantity.range": 1}
        assert [(e.key, e.code) for e in report.errors] == [("raw/bad.csv", "file.columns_missing")]
        assert (report.ingest, report.run, report.attempt) == ("sales/test", "mixed", 1)
        assert (ended.code, report.exit_code) == (ExitCode.DATA, ExitCode.DATA)
        assert report.started_at < report.finished_at

    def test_nothing_to_do(self, platform, told):
        """A run without objects is a success, and says so."""
        ended, report = told(platform, platform.request())
        assert (ended.code, report.exit_code) == (ExitCode.DONE, ExitCode.DONE)
        assert set(report.files.model_dump().values()) == {0}

    def test_it_fits_whatever_happens(self, platform, told):
        """With many long keys and many codes the report still fits a termination message."""
        for number in range(12):
            name = f"{'ключ' * 40}-{number}"
            platform.put(f"raw/{name}.csv", WHOLE_BAD + name.encode())
        columns = ("order_id", "customer_email", "product_rating", "quantity", "order_date")
        rows = [sale(order(n)) | {column: "?"} for n, column in enumerate(columns * 3)]
        platform.put("raw/z.csv", as_csv([*rows, sale(""), *sales(range(40, 50))]))
        _, report = told(platform, platform.request(run="r" * 63))
        assert report.files.quarantined == 12
        assert len(report.errors) == 5
        assert all(error.key.isascii() for error in report.errors)

    def test_of_a_run_that_was_stopped(self, mixed, told, failing):
        """What had ended before a configuration error counts; what follows is untouched."""
        sandbox, request = mixed
        wrong = ConfigurationError("it is wrong", where="here", mend="Mend it.", code="x.y")
        failing("raw/twice.csv", wrong)
        ended, report = told(sandbox, request)
        assert (ended.code, report.exit_code) == (ExitCode.CONFIGURATION, ExitCode.CONFIGURATION)
        assert (report.files.loaded, report.rows.loaded) == (2, 15)
        assert report.errors[0].message == "it is wrong. Mend it."
        assert sandbox.listing("raw/") == ["raw/bad.csv", "raw/twice.csv"]

    def test_archiving_is_refused(self, mixed, told, monkeypatch):
        """What was committed counts although the run ends there, and the reason is told once."""
        sandbox, request = mixed
        wrong = ConfigurationError("it is wrong", where="here", mend="Mend it.", code="x.y")
        monkeypatch.setattr(Bucket, "move", Mock(side_effect=wrong))
        ended, report = told(sandbox, request)
        assert (ended.code, report.exit_code) == (ExitCode.CONFIGURATION, ExitCode.CONFIGURATION)
        assert report.files.model_dump(exclude_defaults=True) == {"failed": 1}
        assert [(report.rows.loaded,)] == sandbox.ledger("rows_loaded")
        assert [error.code for error in report.errors] == ["x.y"]

    def test_of_a_request_that_is_none(self, platform, tmp_path):
        """A request that cannot be understood leaves a report too."""
        log = tmp_path / "termination"
        ended = command("run", environ=platform.environ(termination_log=log))
        report = RunReport.parse(log.read_bytes())
        assert (ended.code, report.exit_code) == (ExitCode.CONFIGURATION, ExitCode.CONFIGURATION)
        assert (report.run, report.errors[0].code) == ("", "request.invalid")


def test_nowhere_to_leave_it(platform, tmp_path):
    """A report that cannot be written is logged, and the run is what it was without it."""
    request = platform.request(platform.put("raw/a.csv", GOOD))
    place = tmp_path / "missing" / "termination"
    ended = command("run", environ=platform.environ(request, termination_log=place))
    assert ended.code == ExitCode.DONE
    first, *_, last = map(json.loads, ended.err.splitlines()[1:])
    assert (first["event"], first["where"]) == ("report not written", str(place))
    assert last["report"]["files"]["loaded"] == 1


class TestExitCode:
    def test_waiting_may_help_first(self, mixed, told, failing):
        """Of a bad object and a temporary failure, the latter decides: trying again has a use."""
        sandbox, request = mixed
        failing("raw/good.csv", TemporaryError("slow", where="x", mend="Wait.", code="x.y"))
        ended, report = told(sandbox, request)
        assert (ended.code, report.exit_code) == (ExitCode.TEMPORARY, ExitCode.TEMPORARY)
        assert (report.files.failed, report.files.quarantined) == (2, 1)

    def test_rejects_within_the_gate(self, platform, told):
        """Rejected rows that the gate allows are no reason for an error."""
        request = platform.request(platform.put("raw/a.csv", PARTLY_BAD))
        ended, report = told(platform, request)
        assert (ended.code, report.rows.rejected) == (ExitCode.DONE, 2)

    def test_refused_before(self, platform, told):
        """An object that was refused in an earlier run is refused again, without reading it."""
        platform.run(platform.request(platform.put("raw/a.csv", WHOLE_BAD)))
        again = platform.put("raw/a.csv", WHOLE_BAD)
        ended, report = told(platform, platform.request(again))
        assert ended.code == ExitCode.DATA
        assert report.errors[0].code == "file.columns_missing"
        assert len(platform.ledger("key")) == 1
        assert platform.listing("raw/") == []


class TestLogs:
    def test_lines(self, mixed, told):
        """Each line of the log is a JSON document that names ingest and run."""
        sandbox, request = mixed
        ended, _ = told(sandbox, request)
        lines = [json.loads(line) for line in ended.err.splitlines()]
        assert {(line["ingest"], line["run"]) for line in lines} == {("sales/test", "mixed")}
        ended_objects = [line for line in lines if line["event"] == "object ended"]
        assert [(x["key"], x["fate"], x["level"]) for x in ended_objects] == [
            ("raw/good.csv", "Loaded", "info"),
            ("raw/partly.csv", "Loaded", "info"),
            ("raw/twice.csv", "Loaded", "info"),
            ("raw/bad.csv", "Quarantined", "warning"),
            ("raw/gone.csv", "Gone", "info"),
            ("raw/good.csv", "Gone", "info"),
        ]
        assert lines[-1]["event"] == "run ended"
        assert lines[-1]["report"]["files"]["loaded"] == 3
        assert ended.out == ""

    def test_tries(self, platform, told, failing):
        """Each try is logged, and the last failure is the object's."""
        request = platform.request(platform.put("raw/a.csv", GOOD))
        failing("raw/a.csv", TemporaryError("slow", where="x", mend="Wait.", code="x.y"))
        ended, _ = told(platform, request)
        lines = [json.loads(line) for line in ended.err.splitlines()]
        events = [line["event"] for line in lines]
        assert events == [*["trying again"] * 3, "object ended", "run ended"]
        assert lines[-2]["fate"] == Fate.FAILED
