"""A file's whole way on a real cluster: delivered over TLS, loaded by a Job, archived."""

import pytest

from tests.e2e.installation import BUCKET
from tests.e2e.runs import run_job
from tests.support.checksum import ORPHANS, star
from tests.support.expected_star import expected_star

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_rows_of_a_delivered_file_are_in_the_star(installation, delivery, ended):
    """The star equals what plain Python makes of the file; every row is accounted for."""
    rows = ended.report.rows
    assert rows.rejected == delivery.bad_rows > 0
    assert rows.loaded > 0
    assert rows.read == rows.loaded + rows.rejected + rows.deduplicated
    with installation.database("metabase") as connection:
        expected = expected_star([delivery.as_it_came()], installation.pseudonym_key)
        assert star(connection) == expected
        assert connection.execute(ORPHANS).fetchone() == (0,)


def test_a_loaded_object_is_archived_and_encrypted(installation, delivery, ended):
    """The original lies below processed/, byte for byte, its rejects below quarantine/."""
    with installation.s3("root") as s3:
        assert keys_below(s3, "raw/") == []
        assert len(keys_below(s3, "quarantine/day/")) == 1
        (key,) = keys_below(s3, "processed/day/")
        archived = s3.get_object(Bucket=BUCKET, Key=key)
        assert archived["Body"].read() == delivery.body
        assert archived["ServerSideEncryption"] == "AES256"


def keys_below(s3, prefix):
    """The keys of a bucket's current objects below a prefix."""
    return [
        one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())
    ]


def test_a_second_run_of_the_same_object_loads_nothing(installation, delivery, ended):
    """The ledger knows it: nothing twice."""
    with installation.database("metabase") as connection:
        before = star(connection)
    again = run_job(installation, "second", delivery).report
    assert (again.rows.loaded, again.files.loaded) == (0, 0)
    with installation.database("metabase") as connection:
        assert star(connection) == before


def test_servers_keep_what_they_hold_over_a_restart(installation, ended):
    """Both pods are ended and come back with the same volumes and the same content."""
    namespace = installation.namespace
    with installation.database("metabase") as connection:
        before = star(connection)
    namespace.kubectl("delete", "pod", "minio-0", "postgres-0", timeout=180)
    for server in ("minio", "postgres"):
        namespace.kubectl(
            "rollout", "status", f"statefulset/{server}", "--timeout=180s", timeout=190
        )
    with installation.database("metabase") as connection:
        assert star(connection) == before
    with installation.s3("root") as s3:
        assert len(keys_below(s3, "processed/day/")) == 1
