"""The command line against real servers: what people type, and what they read."""

import io
import json
import re

import pytest
from rich.console import Console

from sales_api.report import ExitCode
from sales_pipeline import session
from sales_pipeline.batch import first_readings, sweep
from tests.support.command import command
from tests.support.platform import ROOT
from tests.support.sales_file import as_csv, order, sale, sales
from tests.support.sales_record import dicts

pytestmark = pytest.mark.integration

COMMANDS = ("run", "sweep", "reprocess", "check", "generate", "migrate", "history")
BAD = as_csv([*sales(range(4)), sale("x"), sale(order(9), quantity=0, product_rating="7")])
MANIFEST = """
apiVersion: minidata.io/v1alpha1
kind: SalesIngest
metadata: {{name: shop, namespace: sales}}
spec:
  source: {{bucket: {bucket}}}
  quality: {{maxRejectedRatio: "{ratio}"}}
"""


@pytest.fixture
def manifest(platform, tmp_path):
    """A SalesIngest file for the platform's bucket."""

    def write(ratio="1"):
        file = tmp_path / "ingest.yaml"
        file.write_text(MANIFEST.format(bucket=platform.bucket, ratio=ratio))
        return str(file)

    return write


@pytest.fixture
def worked(platform):
    """A platform with a loaded, a partly rejected and a refused object, of two runs."""
    refs = [platform.put("raw/a.csv", as_csv(sales([1]))), platform.put("raw/b [1].csv", BAD)]
    platform.run(platform.request(*refs, run="one"))
    platform.run(platform.request(platform.put("raw/c.csv", b"a,b\n1,2\n"), run="two"))
    return platform


class TestHelp:
    def test_program(self):
        """Without a command the program tells its commands, exit codes and settings."""
        ended = command()
        for word in (*COMMANDS, "65", "75", "78", "SALES_S3_ENDPOINT", "SALES_CREDENTIALS_DIR"):
            assert word in ended.out + ended.err

    @pytest.mark.parametrize("name", COMMANDS)
    @pytest.mark.parametrize("option", ["--help", "-h"])
    def test_command(self, name, option):
        """Each command tells what it does and takes, and needs no server for it."""
        ended = command(name, option)
        assert ended.code == ExitCode.DONE
        assert re.search(rf"Usage: .*sales-pipeline {name} ", ended.out)
        assert len(ended.out.splitlines()) > 5

    @pytest.mark.parametrize(
        "args", [["walk"], ["sweep", "--fast"], ["check"], ["generate", "--rows", "many"]]
    )
    def test_misspelt(self, args):
        """What is no command or option is told in words, not in a traceback."""
        ended = command(*args)
        assert ended.code == 2
        assert "Traceback" not in ended.err
        assert "Usage" in ended.err


class TestSweep:
    def test_with_a_manifest(self, platform, manifest):
        """A sweep by hand takes a SalesIngest file, as kubectl would."""
        platform.put("raw/a.csv", as_csv(sales(range(3))))
        ended = command("sweep", "-f", manifest(), environ=platform.environ())
        assert ended.code == ExitCode.DONE
        ((ingest, run, loaded),) = platform.ledger("ingest", "run", "rows_loaded")
        assert (ingest, loaded) == ("sales/shop", 3)
        assert re.fullmatch("cli-[0-9a-f]{12}", run)

    def test_dry_run(self, platform, manifest):
        """A dry run names the objects, oldest first, and moves none."""
        for name in ("b", "a"):
            platform.put(f"raw/{name} [old].csv", as_csv(sales([1])))
        ended = command("sweep", "-f", manifest(), "--dry-run", environ=platform.environ())
        *named, last = ended.out.splitlines()
        assert sorted(named) == [f"would process raw/{name} [old].csv" for name in ("a", "b")]
        assert last == "2 objects; nothing was done."
        assert len(platform.listing("raw/")) == 2
        assert platform.ledger("key") == []

    @pytest.mark.parametrize(
        "text", ["", "kind: Other", "a: [", "kind: SalesIngest\napiVersion: minidata.io/v1alpha1"]
    )
    def test_no_manifest(self, platform, tmp_path, text):
        """A file that is no SalesIngest is refused by its name."""
        file = tmp_path / "ingest.yaml"
        file.write_text(text)
        ended = command("sweep", "-f", str(file), environ=platform.environ())
        assert ended.code == ExitCode.CONFIGURATION
        assert f"sales-pipeline: {file}: " in ended.last_words
        assert "[request.ingest]" in ended.last_words

    def test_at_a_terminal(self, worked):
        """A person reads each object's fate, why rows were rejected, and the sum."""
        for key in ("raw/a.csv", "raw/new.csv"):
            worked.put(key, BAD)
        worked.put("raw/bad.csv", b"nothing\n1\n")
        request = worked.request(run="three")
        console = Console(file=io.StringIO(), force_terminal=True, width=160, no_color=True)
        code = session.execute(
            lambda: request,
            worked.settings,
            lambda opened, r: list(first_readings(sweep(opened.doors().bucket, r.source))),
            console,
        )
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
        assert code == ExitCode.DATA
        assert re.search(r"raw/bad\.csv +Quarantined +0 +0 +0 +0", text)
        assert re.search(r"raw/new\.csv +Loaded +6 +\d +2 +\d", text)
        assert re.search(r"order_id\.length +2", text)
        assert "quarantined raw/bad.csv: the header" in text
        assert "3 objects, 12 rows read = " in text

    def test_nothing_to_do_at_a_terminal(self, platform):
        """A person whose bucket is empty is told so."""
        console = Console(file=io.StringIO(), force_terminal=True, width=160)
        code = session.execute(platform.request, platform.settings, lambda *_: [], console)
        assert code == ExitCode.DONE
        assert "Nothing to do: no object waits under the prefix." in console.file.getvalue()


class TestHistory:
    def history(self, sandbox, *options):
        ended = command("history", "-b", sandbox.bucket, *options, environ=sandbox.environ())
        assert (ended.code, ended.err) == (ExitCode.DONE, "")
        return ended.out

    def test_table(self, worked):
        """One line for each object, the newest first."""
        header, *lines = self.history(worked).splitlines()
        assert header.split() == [
            *("committed", "object", "status", "read", "loaded", "rejected", "dedup", "code")
        ]
        assert [line.split()[2] for line in lines] == ["raw/c.csv", "raw/b", "raw/a.csv"]
        assert "quarantined" in lines[0]
        assert re.search(r"raw/b \[1\]\.csv +loaded +6 +4 +2 +0 *$", lines[1])

    def test_long_key(self, platform):
        """In a pipe each object has one line, however long its key is."""
        key = f"raw/{'folder/' * 30}a.csv"
        platform.run(platform.request(platform.put(key, as_csv(sales([1])))))
        _, line = self.history(platform).splitlines()
        assert re.search(rf"{key} +loaded +1 +1 +0 +0 *$", line)

    @pytest.mark.parametrize(
        ("options", "keys"),
        [
            ([], ["raw/c.csv", "raw/b [1].csv", "raw/a.csv"]),
            (["--limit", "1"], ["raw/c.csv"]),
            (["--status", "loaded"], ["raw/b [1].csv", "raw/a.csv"]),
            (["--status", "quarantined"], ["raw/c.csv"]),
            (["--run", "one"], ["raw/b [1].csv", "raw/a.csv"]),
            (["--prefix", "raw/b"], ["raw/b [1].csv"]),
            (["-o", "raw/a.csv"], ["raw/a.csv"]),
            (["-o", "raw/none.csv"], []),
        ],
    )
    def test_json(self, worked, options, keys):
        """One JSON document a line, narrowed as asked."""
        lines = self.history(worked, "--json", *options).splitlines()
        assert [json.loads(line)["key"] for line in lines if line] == keys

    def test_one_object(self, worked):
        """All about one object: its identity, its place, its counts and why rows were rejected."""
        text = self.history(worked, "-o", "raw/b [1].csv")
        for word in ("sha256", "contract_hash", "archived_key", "version_id", "rows_rejected"):
            assert word in text
        assert "order_id.length: 1 times, first in row 5" in text
        assert "quantity.range: 1 times, first in row 6" in text

    def test_earlier_readings(self, worked):
        """Of one object also the readings are shown that a later one replaced."""
        ref = worked.put("raw/c.csv", b"a,b\n1,2\n")
        worked.run(worked.request(ref))
        contract = {"unknownColumns": "Ignore", "columns": {}}
        names = ("order_id", "customer_name", "customer_email")
        contract["columns"] = {name: {"constant": "x"} for name in names}
        environ = worked.environ(worked.request(run="r9", contract=contract))
        command("reprocess", "--key", "raw/a.csv", environ=environ)
        lines = self.history(worked, "-o", "raw/a.csv", "--json").splitlines()
        replaced = [json.loads(line)["superseded_by"] for line in lines]
        assert len(lines) == 2
        assert replaced[0] is None
        assert replaced[1] == json.loads(lines[0])["object_id"]

    def test_empty(self, platform):
        """An empty ledger is told in words."""
        assert self.history(platform) == "The ledger has no such object.\n"


class TestGenerate:
    def test_to_a_folder(self, tmp_path):
        """Files of the wanted number and size, of which the command says what is in them."""
        ended = command("generate", "--to", str(tmp_path / "new"), "--rows", "100", "--files", "2")
        assert ended.code == ExitCode.DONE
        files = sorted((tmp_path / "new").iterdir())
        assert [line.split(":")[0] for line in ended.out.splitlines()] == [f.name for f in files]
        assert "100 rows" in ended.out

    def test_to_a_bucket(self, platform, tmp_path):
        """The same bytes to a bucket, where the next sweep finds them."""
        options = ["--rows", "50", "--error-rate", "0", "--seed", "7"]
        command("generate", "--to", str(tmp_path), *options)
        to = f"s3://{platform.bucket}/raw/"
        ended = command("generate", "--to", to, *options, environ=platform.environ())
        assert ended.code == ExitCode.DONE
        (file,) = tmp_path.iterdir()
        assert platform.read(f"raw/{file.name}") == file.read_bytes()
        assert len(dicts(file.read_bytes())) == 50
        (result,) = platform.sweep()
        assert result.rows.loaded == 50

    def test_by_size(self, tmp_path):
        """A size instead of a number of rows is met roughly."""
        command("generate", "--to", str(tmp_path), "--size", "300kB")
        (file,) = tmp_path.iterdir()
        assert 0.9 < file.stat().st_size / 300_000 < 1.1

    @pytest.mark.parametrize(
        "options", [["--size", "big"], ["--every", "often"], ["--rows", "9" * 12]]
    )
    def test_impossible(self, tmp_path, options):
        """What cannot be made is refused with the option's name."""
        ended = command("generate", "--to", str(tmp_path / "new"), *options)
        assert ended.code == ExitCode.CONFIGURATION
        assert options[0] in ended.last_words


class TestCheck:
    def test_local_file(self, tmp_path):
        """A file is told apart: dialect, columns, rows, codes, first row numbers."""
        file = tmp_path / "a.csv"
        file.write_bytes(BAD)
        ended = command("check", str(file))
        assert ended.code == ExitCode.DONE
        assert "utf-8, delimiter ','" in ended.out
        assert "6 = 4 accepted + 2 rejected" in ended.out
        assert re.search(r"order_id\.length +1 +5", ended.out)
        assert re.search(r"quantity\.range +1 +6", ended.out)

    def test_in_a_bucket(self, platform):
        """An object is looked at where it lies, and left there."""
        platform.put("raw/a.csv", BAD)
        url = f"s3://{platform.bucket}/raw/a.csv"
        ended = command("check", url, environ=platform.environ())
        assert ended.code == ExitCode.DONE
        assert "4 accepted + 2 rejected" in ended.out
        assert platform.listing() == ["raw/a.csv"]

    def test_gate(self, platform, manifest):
        """With the ingest's quality gate it tells that the file would be quarantined."""
        platform.put("raw/a.csv", BAD)
        url = f"s3://{platform.bucket}/raw/a.csv"
        ended = command("check", url, "-f", manifest("0.2"), environ=platform.environ())
        assert ended.code == ExitCode.DATA
        assert "would be quarantined" in ended.out
        assert "file.rejected_rows" in ended.out

    def test_several_files(self, tmp_path):
        """Of several files the worst decides the exit code, and each is told of."""
        for name, body in (("a.csv", BAD), ("b.csv", b"nothing\n1\n")):
            (tmp_path / name).write_bytes(body)
        ended = command("check", str(tmp_path / "a.csv"), str(tmp_path / "b.csv"))
        assert ended.code == ExitCode.DATA
        assert "4 accepted" in ended.out
        assert "file.columns_missing" in ended.out

    @pytest.mark.parametrize("name", ["nowhere.csv", "s3://{bucket}/raw/nowhere.csv", "."])
    def test_no_such_file(self, platform, name):
        """A file that is not there is an error of whoever named it."""
        name = name.format(bucket=platform.bucket)
        ended = command("check", name, environ=platform.environ())
        assert ended.code == ExitCode.CONFIGURATION
        assert ended.last_words.startswith(f"sales-pipeline: {name}: ")
        assert "Traceback" not in ended.err

    @pytest.mark.parametrize("sample", ["classic-models", "supermarket", "ecommerce"])
    def test_samples(self, sample):
        """The sample manifests accept the sample files."""
        data = ROOT / "tests" / "data" / "sales"
        (file,) = data.glob(f"{sample.replace('-', '_')}*.csv")
        manifest = ROOT / "manifests" / "samples" / f"{sample}.yaml"
        ended = command("check", str(file), "-f", str(manifest))
        assert (ended.code, "60 accepted + 0 rejected" in ended.out) == (ExitCode.DONE, True)
