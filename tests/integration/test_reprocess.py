"""Objects read again under the contract as it is now: what is replaced, and what stays."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from sales_api.report import ExitCode, Fate
from tests.support.command import command
from tests.support.platform import UPLOADED
from tests.support.sales_file import as_csv, order, sale, sales

pytestmark = pytest.mark.integration

A, B = "raw/2024/a.csv", "raw/2025/b.csv"
RENAMED = as_csv(sales(range(10))).replace(b"quantity", b"units", 1)
"""A file whose header the default contract does not know."""
UNITS = {"contract": {"columns": {"quantity": {"from": "units"}}}}
KEYED = {"contract": {"columns": {"order_id": {"hashOf": ["order_id"]}}}}
"""Another order id for each row."""
REPLACED = "SELECT count(*) FROM ingest_object WHERE superseded_by IS NOT NULL"


def reprocess(sandbox, *options, run="r2", **spec):
    """The command, as somebody at a shell gives it."""
    return command("reprocess", *options, environ=sandbox.environ(sandbox.request(run=run, **spec)))


def order_ids(sandbox):
    return {row[0] for row in sandbox.query("SELECT order_id FROM fact_sales")}


def everything(sandbox):
    """All that a refused or repeated reprocess must leave as it is."""
    places = {key: sandbox.read(key) for key in sandbox.listing()}
    return sandbox.checksum(), sandbox.ledger("key", "status", "rows_read"), places


class TestRefusedBefore:
    @pytest.fixture
    def refused(self, platform):
        """A platform with one object in quarantine."""
        (result,) = platform.run(platform.request(platform.put(A, RENAMED)))
        assert result.fate is Fate.QUARANTINED
        return platform

    def test_after_the_contract_was_mended(self, refused):
        """A refused object loads under the mended contract; its reason goes, its row stays."""
        ended = reprocess(refused, "--quarantined", **UNITS)
        assert ended.code == ExitCode.DONE
        assert order_ids(refused) == {order(n) for n in range(10)}
        ((archived, status),) = refused.ledger("archived_key", "status")
        assert status == "loaded"
        assert refused.listing() == [archived]
        assert archived.startswith("processed/2024/a.")
        assert refused.read(archived) == RENAMED
        assert refused.value(REPLACED) == 1

    def test_identity_is_kept(self, refused):
        """The second reading has the first one's identity, so precedence is what it was."""
        identity = ("key", "version_id", "etag", "modified_at", "sha256")
        before = refused.ledger(*identity)
        reprocess(refused, "--quarantined", **UNITS)
        assert refused.ledger(*identity) == before

    def test_refused_again(self, refused):
        """Refused again, everything stays as it was, and the exit code says so."""
        before = everything(refused)
        ended = reprocess(refused, "--quarantined")
        assert ended.code == ExitCode.DATA
        assert everything(refused) == before

    def test_nothing_left_to_do(self, refused):
        """What was mended is not found in quarantine again."""
        reprocess(refused, "--quarantined", **UNITS)
        before = everything(refused), refused.value(REPLACED)
        assert reprocess(refused, "--quarantined", run="r3", **UNITS).code == ExitCode.DONE
        assert (everything(refused), refused.value(REPLACED)) == before

    def test_dry_run(self, refused):
        """A dry run names the objects and touches nothing."""
        before = everything(refused)
        ended = reprocess(refused, "--quarantined", "--dry-run", **UNITS)
        assert ended.out.splitlines() == [f"would process {A}", "1 objects; nothing was done."]
        assert everything(refused) == before

    def test_original_is_gone(self, refused):
        """An object that somebody removed from quarantine is named, and no error."""
        ((archived,),) = refused.ledger("archived_key")
        refused.s3.delete_object(Bucket=refused.bucket, Key=archived)
        ended = reprocess(refused, "--quarantined", **UNITS)
        assert ended.code == ExitCode.DONE
        assert f"not there any more: {archived}" in ended.err

    def test_mended_by_a_new_upload(self, refused):
        """A corrected file under the same key loads beside the refused one's row."""
        refused.put(A, as_csv(sales(range(3))))
        assert [r.fate for r in refused.sweep()] == [Fate.LOADED]
        assert refused.ledger("status") == [("quarantined",), ("loaded",)]

    def test_same_bytes_under_the_mended_contract(self, refused):
        """The same bytes uploaded again are read under a new contract, in place of the refusal."""
        refused.put(A, RENAMED)
        assert [r.fate for r in refused.sweep(**UNITS)] == [Fate.LOADED]
        assert refused.ledger("status") == [("loaded",)]


class TestLoadedBefore:
    @pytest.fixture
    def loaded(self, platform):
        """Two objects loaded, under different years, in different runs."""
        platform.run(platform.request(platform.put(A, as_csv(sales(range(10)))), run="one"))
        b = as_csv([*sales(range(10, 15)), sale("short"), sale("shorter")])
        platform.run(platform.request(platform.put(B, b), run="two"))
        return platform

    @pytest.mark.parametrize(
        ("options", "keys"),
        [
            (("--key", A), [A]),
            (("--key", A, "--key", B), [A, B]),
            (("--prefix", "raw/2025/"), [B]),
            (("--run", "two"), [B]),
            (("--run", "one", "--prefix", "raw/2025/"), []),
            (("--contract-changed",), [A, B]),
            (("--quarantined",), []),
        ],
    )
    def test_selection(self, loaded, options, keys):
        """Options choose objects by key, prefix, run and contract; together they narrow."""
        ended = reprocess(loaded, *options, **KEYED)
        assert ended.code == ExitCode.DONE
        assert [key for key, run in loaded.ledger("key", "run") if run == "r2"] == keys

    def test_nothing_named(self, loaded):
        """Without any choice nothing is done: it would be all objects there are."""
        ended = reprocess(loaded)
        assert (ended.code, "request.selection" in ended.err) == (ExitCode.CONFIGURATION, True)

    def test_same_contract(self, loaded):
        """Read again under the same contract, the star says the same."""
        before = loaded.checksum()
        ended = reprocess(loaded, "--prefix", "raw/")
        assert ended.code == ExitCode.DONE
        assert loaded.checksum() == before
        assert loaded.ledger("run", "rows_read", "rows_loaded", "rows_rejected") == [
            ("r2", 10, 10, 0),
            ("r2", 7, 5, 2),
        ]

    def test_contract_unchanged(self, loaded):
        """Under the same contract, --contract-changed finds nothing."""
        reprocess(loaded, "--contract-changed")
        assert loaded.value(REPLACED) == 0

    def test_rows_of_the_old_contract_go(self, loaded):
        """Where orders get other ids, those of the object's earlier reading are gone."""
        before = order_ids(loaded)
        reprocess(loaded, "--contract-changed", **KEYED)
        after = order_ids(loaded)
        # The short ids have ten characters now, like every other key that is made by hashing.
        assert len(after) == len(before) + 2
        assert after & before == set()
        assert loaded.ledger("rows_loaded", "rows_rejected") == [(10, 0), (7, 0)]

    def test_repeated(self, loaded):
        """The second and third time change nothing."""
        reprocess(loaded, "--prefix", "raw/", **KEYED)
        before = everything(loaded)
        for run in ("r3", "r4"):
            assert reprocess(loaded, "--prefix", "raw/", run=run, **KEYED).code == ExitCode.DONE
            assert everything(loaded) == before

    def test_stale_rejects_go(self, loaded):
        """Rejects of an earlier reading leave quarantine when the new one has none."""
        assert len(loaded.listing("quarantine/")) == 1
        reprocess(loaded, "--contract-changed", **KEYED)
        assert loaded.listing("quarantine/") == []

    def test_rejects_are_replaced(self, loaded):
        """Rejects of an earlier reading give way to those of the new one."""
        (key,) = loaded.listing("quarantine/")
        loose = {"contract": {"columns": {"order_id": {"from": "order_id", "zeroPad": 7}}}}
        reprocess(loaded, "--contract-changed", **loose)
        assert loaded.listing("quarantine/") == [key]
        (row,) = loaded.query(
            "SELECT count(*), count(DISTINCT object_id) FROM ingest_reject"
            " JOIN ingest_object USING (object_id) WHERE superseded_by IS NULL"
        )
        assert row == (2, 1)

    @pytest.mark.parametrize("spec", [UNITS, {"format": {"delimiter": ";"}}])
    def test_refused(self, loaded, spec):
        """Refused under the new contract, star, ledger and bucket stay as they were."""
        before = everything(loaded)
        ended = reprocess(loaded, "--contract-changed", **spec)
        assert ended.code == ExitCode.DATA
        assert everything(loaded) == before

    def test_gate(self, loaded):
        """Refused by the quality gate, everything stays, the stored rejects included."""
        before = everything(loaded)
        strict = {"quality": {"maxRejectedRows": 0}, **KEYED}
        strict["contract"] = {"columns": {"order_id": {"constant": "x"}}}
        ended = reprocess(loaded, "--contract-changed", **strict)
        assert ended.code == ExitCode.DATA
        assert everything(loaded) == before

    def test_report(self, loaded, tmp_path):
        """The report of a reprocess counts like that of a run."""
        log = tmp_path / "termination"
        request = loaded.request(run="r2", **KEYED)
        environ = loaded.environ(request, termination_log=log)
        command("reprocess", "--contract-changed", environ=environ)
        report = json.loads(log.read_bytes())
        assert (report["files"]["loaded"], report["rows"]["loaded"]) == (2, 17)


class TestPrecedence:
    """A new reading replaces the earlier one whatever the columns that decide are mapped to."""

    COLLECTED = {
        "contract": {
            "unknownColumns": "Ignore",
            "columns": {"data_collected_at": {"constant": "2020-01-01"}},
        }
    }

    def test_older_date_of_collection(self, platform):
        """Rows whose new reading says an older date are replaced, not lost."""
        platform.run(platform.request(platform.put(A, as_csv(sales(range(10))))))
        assert reprocess(platform, "--contract-changed", **self.COLLECTED).code == ExitCode.DONE
        assert len(order_ids(platform)) == 10
        dates = "SELECT DISTINCT data_collected_at::text FROM {}"
        for table in ("fact_sales", "dim_customer", "dim_product"):
            assert platform.query(dates.format(table)) == [("2020-01-01",)]
        assert platform.ledger("rows_read", "rows_loaded") == [(10, 10)]

    def test_later_content_of_the_key_stays(self, platform):
        """A refused object that is mended late does not undo what came under its key since."""
        old = platform.put(A, RENAMED, UPLOADED)
        new = platform.put(A, as_csv(sales(range(5), quantity=7)), UPLOADED + timedelta(hours=1))
        platform.run(platform.request(old, new))
        assert reprocess(platform, "--quarantined", **UNITS).code == ExitCode.DONE
        rows = platform.query("SELECT quantity, count(*) FROM fact_sales GROUP BY 1 ORDER BY 1")
        assert rows == [(2, 5), (7, 5)]
        assert platform.ledger("status", "rows_loaded") == [("loaded", 5), ("loaded", 5)]

    def test_two_at_once(self, platform):
        """Two reprocesses at once end like one."""
        ref = platform.put(A, RENAMED)
        platform.run(platform.request(ref))
        request, work = platform.request(run="r2", **UNITS), platform.again(ref)
        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(platform.run, request, work) for _ in range(2)]
        fates = {run.result()[0].fate for run in runs}
        assert fates <= {Fate.LOADED, Fate.GONE}
        assert Fate.LOADED in fates
        assert len(order_ids(platform)) == 10
        assert platform.ledger("status") == [("loaded",)]
        assert platform.listing() == [platform.ledger("archived_key")[0][0]]

    def test_another_objects_rows_stay(self, platform):
        """Orders that another object won before are still that object's."""
        refs = [
            platform.put(A, as_csv(sales(range(10)))),
            platform.put(B, as_csv(sales(range(5, 10), data_collected_at="2024-03-09"))),
        ]
        platform.run(platform.request(*refs))
        platform.run(platform.request(run="r2", **self.COLLECTED), platform.again(refs[0]))
        dates = platform.query(
            "SELECT data_collected_at::text, count(*) FROM fact_sales GROUP BY 1 ORDER BY 1"
        )
        assert dates == [("2020-01-01", 5), ("2024-03-09", 5)]
        assert platform.ledger("rows_loaded", "rows_deduplicated") == [(5, 5), (5, 0)]
