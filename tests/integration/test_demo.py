"""The demo runs as a whole, proves its books, and leaves nothing behind, however it ends."""

import io
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from sales_api.report import Fate
from sales_pipeline.demo import figures, stage
from sales_pipeline.demo.checks import failed
from sales_pipeline.demo.flow import DemoOptions, run_demo
from sales_pipeline.errors import ConfigurationError, PermanentError
from sales_pipeline.generate import Tally, iter_csv
from tests.support.sales_record import dicts
from tests.support.web import Page, drawings

pytestmark = pytest.mark.integration

ROWS, FILES = 400, 2
GONE_WITHIN_SECONDS = 60
CHILD = """
import sys
from pathlib import Path
from rich.console import Console
from sales_pipeline.demo.flow import DemoOptions, run_demo

print("begin", flush=True)
run_demo(DemoOptions(rows=20_000, report=Path(sys.argv[1])), Console(file=sys.stdout, width=80))
"""


@pytest.fixture
def playground(monkeypatch):
    """Where the demo's temporary folders go: short, and open for an unprivileged PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "tmp").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", f"{folder}/tmp")
        yield Path(folder)


@pytest.fixture
def options(playground):
    report = playground / "out" / "report.html"
    return DemoOptions(rows=ROWS, files=FILES, error_rate=0.1, report=report)


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=140)


@pytest.fixture
def leaves_nothing(playground):
    """After the test there is no temporary folder and no process that was not there before it."""
    before = set(psutil.Process().children(recursive=True))
    yield
    assert list((playground / "tmp").iterdir()) == []
    assert set(psutil.Process().children(recursive=True)) <= before


@pytest.fixture
def no_servers(monkeypatch):
    """Servers are not to be started: what is wrong must be found before."""

    def start(_):
        raise AssertionError("a server was started")

    monkeypatch.setattr(stage.EmbeddedServices, "start", start)


@pytest.mark.usefixtures("leaves_nothing")
class TestDemo:
    def test_books_balance_and_report_tells_it(self, options, console):
        """Small numbers go all the way; result, terminal and report agree; no person is in it."""
        result = run_demo(options, console)
        outcome, page = result.outcome, result.report.read_text()
        bad = sum(file.bad_rows for file in outcome.generated)
        assert 0 < bad < ROWS
        assert failed(result.checks) == []
        assert (outcome.rows.read, outcome.rows.rejected) == (ROWS * FILES, bad)
        assert outcome.rows.loaded == outcome.figures.audit.facts == ROWS * FILES - bad
        assert [r.fate for r in outcome.results] == [
            *([Fate.LOADED] * FILES), Fate.QUARANTINED, Fate.ALREADY_LOADED
        ]  # fmt: skip
        assert sum(outcome.figures.codes.values()) == bad
        told = (
            f"{ROWS * FILES:,} rows generated = {outcome.rows.loaded:,} loaded + {bad:,} rejected"
        )
        assert told in Page(page).text
        assert "The books balance" in Page(page).text
        assert len(drawings(page)) == 5
        assert str(options.report) in console.file.getvalue()
        assert result.kept is None
        assert len(people(options)) > ROWS
        assert [word for word in people(options) if word in page] == []

    def test_wrong_books_fail_the_demo(self, options, console, monkeypatch):
        """A sum that differs ends as an error that names the check; the report shows it as well."""

        def ask(platform):
            found = honest(platform)
            return replace(found, audit=replace(found.audit, facts=found.audit.facts - 1))

        honest = figures.ask
        monkeypatch.setattr(figures, "ask", ask)
        with pytest.raises(PermanentError, match="Nothing was loaded twice") as wrong:
            run_demo(options, console)
        assert wrong.value.code == "demo.books"
        assert wrong.value.exit_code != 0
        assert "1 of 8 checks failed" in Page(options.report.read_text()).text
        assert "✗ Nothing was loaded twice" in console.file.getvalue()

    def test_all_rows_bad_is_fine_too(self, options, console):
        """A set without one good row balances, and gives a report with nothing to show."""
        result = run_demo(replace(options, rows=50, files=1, error_rate=1), console)
        assert result.outcome.rows.rejected == 50
        assert "Nothing to show" in Page(options.report.read_text()).text

    def test_kept_folder_serves_again(self, options, console, playground):
        """A kept folder has the objects as files, and the told commands serve its database."""
        keep = playground / "kept"
        result = run_demo(replace(options, keep=keep), console)
        assert result.kept == keep
        kept = {path.relative_to(keep / "objects") for path in (keep / "objects").rglob("*.*")}
        kinds = {(path.parts[0], re.sub(r"\.[0-9a-f]{12}", "", path.name)) for path in kept}
        assert kinds == {
            ("processed", "sales-00001.csv"),
            ("processed", "sales-00002.csv"),
            ("quarantine", "sales-00001.csv.rejects.csv"),
            ("quarantine", "sales-00002.csv.rejects.csv"),
            ("quarantine", "upload-broke-off.csv.gz"),
            ("quarantine", "upload-broke-off.csv.gz.reason.json"),
        }
        commands = console.file.getvalue().partition("served again")[2].splitlines()
        start, ask, stop = (shlex.split(line) for line in commands if line.startswith("  "))
        subprocess.run(start, check=True, stdout=subprocess.DEVNULL, cwd="/")
        try:
            ledger = subprocess.run(ask, check=True, capture_output=True, text=True, cwd="/").stdout
        finally:
            subprocess.run(stop, check=True, stdout=subprocess.DEVNULL, cwd="/")
        assert "(3 rows)" in ledger
        assert "raw/sales-00001.csv" in ledger

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("number", "moment"),
        [(signal.SIGINT, "begin"), (signal.SIGINT, "✓ 5 files"), (signal.SIGTERM, "✓ Postgre")],
    )
    def test_interrupted_demo_is_cleaned_up(self, playground, number, moment):
        """Ctrl-C or SIGTERM, while servers start or work, ends the demo without a trace."""
        command = [sys.executable, "-c", CHILD, str(playground / "report.html")]
        environ = os.environ | {"TMPDIR": str(playground / "tmp")}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
        ) as demo:
            assert any(line.startswith(moment) for line in iter(demo.stdout.readline, ""))
            family = psutil.Process(demo.pid).children(recursive=True)
            demo.send_signal(number)
            _, errors = demo.communicate(timeout=GONE_WITHIN_SECONDS)
        _, alive = psutil.wait_procs(family, timeout=GONE_WITHIN_SECONDS)
        assert alive == []
        assert demo.returncode == -signal.SIGINT
        assert errors.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.usefixtures("leaves_nothing", "no_servers")
class TestRefusals:
    def test_folder_with_content_is_not_kept_over(self, options, console, playground):
        """The demo never writes into a folder that somebody already uses."""
        with pytest.raises(ConfigurationError, match="not empty"):
            run_demo(replace(options, keep=playground), console)

    def test_file_is_no_folder(self, options, console, playground):
        """A file in place of the folder to keep is refused."""
        (playground / "file").touch()
        with pytest.raises(ConfigurationError, match="cannot be made"):
            run_demo(replace(options, keep=playground / "file"), console)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root lends PostgreSQL an account")
    def test_folder_out_of_reach_is_not_opened(self, options, console, playground):
        """Root's private folder is refused rather than opened to PostgreSQL's account."""
        (playground / "private").mkdir(mode=0o700)
        with pytest.raises(ConfigurationError, match="cannot get at the folder"):
            run_demo(replace(options, keep=playground / "private" / "kept"), console)

    def test_report_must_be_writable(self, options, console, playground):
        """A report's path that is a folder is refused before any work is done."""
        with pytest.raises(ConfigurationError, match="cannot be written"):
            run_demo(replace(options, report=playground), console)

    @pytest.mark.parametrize("number", [{"rows": 0}, {"files": 0}, {"error_rate": 2}])
    def test_numbers_out_of_range(self, options, console, number):
        """Numbers that no set of files can have are refused."""
        with pytest.raises(ConfigurationError, match="out of its range"):
            run_demo(replace(options, **number), console)


def people(options):
    """Whatever of the made-up customers in the demo's files may not be seen in the report."""
    spec = replace(options.spec, error_rate=0)
    rows = dicts(b"".join(iter_csv(spec, 0, Tally())))
    names = ("customer_name", "customer_email", "customer_phone", "customer_address")
    return {row[name] for row in rows for name in names}
