"""One object, one load: redelivered, uploaded again, overwritten, or run twice at once."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest

from sales_api.report import Fate, Rows
from sales_pipeline.bucket import Bucket
from tests.support.platform import UPLOADED
from tests.support.sales_file import as_csv, sales

pytestmark = pytest.mark.integration

KEY = "raw/a.csv"
A = as_csv(sales(range(10)))
B = as_csv(sales(range(5, 15), quantity=3))
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory'
"""


def fates(results):
    return [result.fate for result in results]


def minutes(number):
    return UPLOADED + timedelta(minutes=number)


def quantities(sandbox):
    """What the star says of each order, by its number."""
    rows = sandbox.query("SELECT order_id, quantity FROM fact_sales ORDER BY order_id")
    return {int(name.removeprefix("ORD-")): quantity for name, quantity in rows}


AFTER_A = dict.fromkeys(range(10), 2)
AFTER_B = AFTER_A | dict.fromkeys(range(5, 15), 3)


@contextmanager
def held(sandbox, key):
    """The lock of an object, in somebody else's hands."""
    with closing(sandbox.connect()) as connection, connection.transaction():
        name = f"object:{sandbox.bucket}/{key}"
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        yield


def until_waiting(sandbox, runs):
    with closing(sandbox.connect()) as connection:
        while connection.execute(WAITING).fetchone()[0] < runs:
            pass


class TestTwoRuns:
    def test_at_once(self, platform):
        """Of two runs on one object one loads it, and the other finds it loaded or gone."""
        request = platform.request(platform.put(KEY, A))
        with ThreadPoolExecutor(2) as pool:
            with held(platform, KEY):
                runs = [pool.submit(platform.run, request) for _ in range(2)]
                until_waiting(platform, 2)
            found = [fates(run.result())[0] for run in runs]
        assert found.count(Fate.LOADED) == 1
        assert set(found) <= {Fate.LOADED, Fate.ALREADY_LOADED, Fate.GONE}
        assert platform.ledger("status", "rows_loaded") == [("loaded", 10)]
        assert quantities(platform) == AFTER_A
        assert platform.listing() == [platform.ledger("archived_key")[0][0]]

    def test_on_different_objects_with_the_same_orders(self, platform):
        """Runs on objects that meet in the star do not hinder each other into an error."""
        requests = [
            platform.request(platform.put(f"raw/{n}.csv", as_csv(sales(range(50), quantity=n))))
            for n in range(1, 5)
        ]
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(platform.run, requests))
        assert [fates(result) for result in results] == [[Fate.LOADED]] * 4
        assert quantities(platform) == dict.fromkeys(range(50), 4)


class TestRedelivery:
    def test_ten_times(self, platform):
        """Ten deliveries of one event make one load and one ledger row."""
        request = platform.request(platform.put(KEY, A))
        found = [fates(platform.run(request))[0] for _ in range(10)]
        assert found == [Fate.LOADED, *[Fate.GONE] * 9]
        assert platform.ledger("rows_read") == [(10,)]
        assert quantities(platform) == AFTER_A

    def test_same_event_ten_times_in_one_run(self, platform):
        """The same object named ten times in one request is loaded once."""
        ref = platform.put(KEY, A)
        found = fates(platform.run(platform.request(*[ref] * 10)))
        assert found == [Fate.LOADED, *[Fate.GONE] * 9]

    def test_event_of_an_object_that_never_was(self, platform):
        """An event about an object that is not there is no error."""
        ref = platform.put(KEY, A).model_copy(update={"key": "raw/other.csv"})
        assert fates(platform.run(platform.request(ref))) == [Fate.GONE]
        assert platform.ledger("key") == []


class TestUploadedAgain:
    @pytest.mark.parametrize("kind", ["platform", "unversioned"])
    def test_same_bytes_same_key(self, request, kind):
        """The same bytes under the same key are not loaded again, only archived."""
        sandbox = request.getfixturevalue(kind)
        sandbox.run(sandbox.request(sandbox.put(KEY, A)))
        first = sandbox.checksum(), sandbox.ledger("object_id", "committed_at")
        again = sandbox.put(KEY, A, minutes(5))
        (result,) = sandbox.run(sandbox.request(again))
        assert (result.fate, result.rows) == (Fate.ALREADY_LOADED, Rows())
        assert (sandbox.checksum(), sandbox.ledger("object_id", "committed_at")) == first
        assert sandbox.traces("raw/") == []
        assert sandbox.listing() == [result.archived_key]

    def test_same_bytes_in_parts(self, platform):
        """The same bytes uploaded in parts have another ETag, and are found out by their hash."""
        platform.run(platform.request(platform.put(KEY, A)))
        upload = {"Bucket": platform.bucket, "Key": KEY}
        upload["UploadId"] = platform.s3.create_multipart_upload(**upload)["UploadId"]
        part = platform.s3.upload_part(**upload, PartNumber=1, Body=A)
        parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
        platform.s3.complete_multipart_upload(**upload, MultipartUpload=parts)
        assert "-" in platform.stored(KEY).etag
        assert fates(platform.sweep()) == [Fate.ALREADY_LOADED]
        assert len(platform.ledger("key")) == 1
        assert platform.listing("raw/") == []

    def test_same_bytes_other_key(self, platform):
        """The same bytes under another key are an object of their own; the star says the same."""
        platform.run(platform.request(platform.put(KEY, A)))
        star = platform.checksum()
        other = platform.put("raw/b.csv", A, minutes(5))
        assert fates(platform.run(platform.request(other))) == [Fate.LOADED]
        assert platform.checksum() == star
        assert platform.ledger("key", "rows_read") == [(KEY, 10), ("raw/b.csv", 10)]
        assert len(platform.listing("processed/")) == 2

    @pytest.mark.parametrize("kind", ["platform", "unversioned"])
    def test_new_bytes_same_key(self, request, kind):
        """New bytes under a known key are loaded once more, and win where both name an order."""
        sandbox = request.getfixturevalue(kind)
        sandbox.run(sandbox.request(sandbox.put(KEY, A)))
        ref = sandbox.put(KEY, B, minutes(5))
        assert fates(sandbox.run(sandbox.request(ref))) == [Fate.LOADED]
        assert quantities(sandbox) == AFTER_B
        assert sandbox.ledger("rows_read", "rows_loaded") == [(10, 10), (10, 10)]
        assert len(sandbox.listing("processed/")) == 2
        assert fates(sandbox.run(sandbox.request(ref))) == [Fate.GONE]

    @pytest.mark.parametrize("kind", ["platform", "unversioned"])
    def test_there_and_back(self, request, kind):
        """Content A, then B, then A again under one key: what came last counts."""
        sandbox = request.getfixturevalue(kind)
        for number, body in enumerate((A, B, A)):
            ref = sandbox.put(KEY, body, minutes(number))
            assert fates(sandbox.run(sandbox.request(ref))) == [Fate.LOADED]
        assert quantities(sandbox) == AFTER_B | AFTER_A
        assert len(sandbox.ledger("key")) == 2
        assert len(sandbox.listing("processed/")) == 2

    def test_same_bytes_other_contract(self, platform):
        """The same bytes under a changed contract are read again, also when it changes back."""
        changed = {"contract": {"costFactor": "0.5"}}
        for number, (body, spec) in enumerate([(A, {}), (B, {}), (A, changed), (A, {})]):
            ref = platform.put(KEY, body, minutes(number))
            assert fates(platform.run(platform.request(ref, **spec))) == [Fate.LOADED]
        assert quantities(platform) == AFTER_B | AFTER_A
        profits = "SELECT profit::text FROM fact_sales WHERE quantity = 2 GROUP BY 1"
        assert platform.query(profits) == [("20.00",)]
        assert len(platform.ledger("key")) == 2


class TestOverwritten:
    """Somebody uploads new content under the key of an object that is being loaded."""

    @pytest.fixture
    def overwrite(self, monkeypatch):
        """Upload B under the key at a certain moment of the next run, once."""

        def arm(sandbox, name):
            original = getattr(Bucket, name)

            def wrapped(bucket, *args):
                monkeypatch.setattr(Bucket, name, original)
                sandbox.put(KEY, B)
                return original(bucket, *args)

            monkeypatch.setattr(Bucket, name, wrapped)

        return arm

    @pytest.mark.parametrize("kind", ["platform", "unversioned"])
    @pytest.mark.parametrize("moment", ["move", "_delete"])
    def test_after_it_was_read(self, request, overwrite, kind, moment):
        """What came after the object was read stays in place and is loaded by the next sweep."""
        sandbox = request.getfixturevalue(kind)
        overwrite(sandbox, moment)
        ref = sandbox.put(KEY, A, minutes(-60))
        assert fates(sandbox.run(sandbox.request(ref))) == [Fate.LOADED]
        assert sandbox.read(KEY) == B
        assert quantities(sandbox) == AFTER_A

        assert fates(sandbox.sweep()) == [Fate.LOADED]
        assert quantities(sandbox) == AFTER_B
        assert sandbox.traces("raw/") == []
        assert sandbox.ledger("rows_read") == [(10,), (10,)]

    def test_before_it_was_read(self, platform, overwrite):
        """With versions, the older content is read as it was listed, and the newer one waits."""
        overwrite(platform, "read")
        ref = platform.put(KEY, A, minutes(-60))
        assert fates(platform.run(platform.request(ref))) == [Fate.LOADED]
        assert quantities(platform) == AFTER_A
        assert platform.read(KEY) == B
        assert fates(platform.sweep()) == [Fate.LOADED]
        assert quantities(platform) == AFTER_B

    def test_before_it_was_read_without_versions(self, unversioned, overwrite):
        """Without versions, the older content is gone, and the newer one is never read as it."""
        overwrite(unversioned, "read")
        ref = unversioned.put(KEY, A, minutes(-60))
        assert fates(unversioned.run(unversioned.request(ref))) == [Fate.GONE]
        assert unversioned.ledger("key") == []
        assert fates(unversioned.sweep()) == [Fate.LOADED]
        assert quantities(unversioned) == dict.fromkeys(range(5, 15), 3)

    def test_versions_delivered_in_the_wrong_order(self, platform):
        """Of two versions of a key the later one counts, also if it is loaded first."""
        older, newer = platform.put(KEY, A, minutes(0)), platform.put(KEY, B, minutes(1))
        found = fates(platform.run(platform.request(newer, older)))
        assert found == [Fate.LOADED, Fate.LOADED]
        assert quantities(platform) == AFTER_B
        assert platform.traces("raw/") == []
