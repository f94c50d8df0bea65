"""A SalesIngest applied, files of every fate sent: what is told of them is what became of them."""

import gzip
import random
from collections import Counter

import pytest
import yaml

from tests.docs.pages import ROOT
from tests.e2e.ingests import (
    SMALL,
    Ingest,
    condition,
    ended,
    holds,
    is_done,
    own_star,
    sales_of,
)
from tests.e2e.installation import BUCKET
from tests.support.expected_star import Delivered, expected_star
from tests.support.sales_file import as_csv

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

NAME = "mixed"
ROWS = 40
SAMPLE = ROOT / "manifests/samples/default.yaml"


def numbers(place):
    """The orders of a file, apart from those of all others."""
    return range(place * 100, place * 100 + ROWS)


def good(place, **changes):
    return as_csv(sales_of(NAME, numbers(place), **changes))


def partly_bad(place, bad):
    """A file in which so many rows break a rule."""
    first, rest = numbers(place)[:bad], numbers(place)[bad:]
    return as_csv(sales_of(NAME, first, product_rating=9) + sales_of(NAME, rest))


PLAIN = {
    **{f"good-{n}.csv": good(n) for n in range(5)},
    **{f"some-bad-{n}.csv": partly_bad(n + 10, bad=4) for n in range(3)},
    "all-zipped.csv.gz": good(20),
    "utf-16.csv": good(21, customer_name="Æthelflæd Ólafsdóttir"),
    "semicolons.csv": good(22),
    "just-below-the-gate.csv": partly_bad(23, bad=20),
    "same-bytes-as-good-0.csv": good(0),
}
"""Files that are loaded, as the model of the star reads them."""
AS_SENT = PLAIN | {
    "all-zipped.csv.gz": gzip.compress(PLAIN["all-zipped.csv.gz"]),
    "utf-16.csv": PLAIN["utf-16.csv"].decode().encode("utf-16"),
    "semicolons.csv": as_csv(sales_of(NAME, numbers(22)), delimiter=";"),
}
REFUSED = {
    "empty.csv": (b"", "file.empty"),
    "only-a-header.csv": (as_csv([]), "file.empty"),
    "no-header.csv": (good(30).partition(b"\n")[2], "file.columns_missing"),
    "other-columns.csv": (b"a,b\n1,2\n", "file.columns_missing"),
    "binary.csv": (random.Random(1).randbytes(5000), "file.encoding"),
    "cut-off.csv.gz": (gzip.compress(good(31))[:200], "file.compression"),
    "over-the-gate.csv": (partly_bad(32, bad=21), "file.rejected_rows"),
}
"""Files that are bad for good, and why."""
SENT = AS_SENT | {name: body for name, (body, _) in REFUSED.items()}


def spec_of_the_sample():
    spec = yaml.safe_load(SAMPLE.read_text("utf-8"))["spec"]
    del spec["source"]  # The test's own.
    return {"trigger": {}} | spec | {"job": SMALL, "quality": {"maxRejectedRatio": "0.5"}}


@pytest.fixture(scope="module")
def mixed(installation):
    """An ingest made from the sample, once all files are in their final place."""
    ingest = Ingest.make(installation, NAME, **spec_of_the_sample())
    ingest.put(SENT)
    ingest.until_done(len(SENT), seconds=180)
    return ingest


def test_twenty_files_were_sent():
    assert len(SENT) == 20


def test_rows_of_good_files_are_in_the_star_and_no_others(mixed):
    """The star equals what plain Python makes of the files."""
    modified = {row["key"]: row["modified_at"] for row in mixed.ledger()}
    keys = {mixed.prefix + name: body for name, body in PLAIN.items()}
    objects = [Delivered(key, body, modified[key]) for key, body in keys.items()]
    with mixed.installation.database("metabase") as connection:
        found = own_star(connection, NAME)
    assert found == expected_star(objects, mixed.installation.pseudonym_key)
    assert len(found.facts) == 12 * ROWS - 3 * 4 - 20


def test_every_object_was_taken_once_and_for_what_it_is(mixed):
    ledger = mixed.ledger()
    told = {row["key"]: (row["status"], row["error_code"]) for row in ledger}
    assert len(ledger) == len(SENT)
    assert told == {
        **{mixed.prefix + name: ("loaded", None) for name in PLAIN},
        **{mixed.prefix + name: ("quarantined", code) for name, (_, code) in REFUSED.items()},
    }


def test_originals_are_in_their_final_place_byte_for_byte(mixed):
    assert mixed.keys("raw") == []
    ledger = mixed.ledger()
    with mixed.installation.s3("root") as s3:
        for row in ledger:
            stored = s3.get_object(Bucket=BUCKET, Key=row["archived_key"])
            assert stored["Body"].read() == SENT[row["key"].removeprefix(mixed.prefix)]
    places = Counter(row["archived_key"].rpartition("/")[0] for row in ledger)
    assert places == {f"processed/{NAME}": len(AS_SENT), f"quarantine/{NAME}": len(REFUSED)}


def test_quarantine_holds_a_reason_for_each_refused_and_the_rejects_of_each_other(mixed):
    tails = Counter(key.split(".", 2)[2] for key in mixed.keys("quarantine"))
    assert tails == {
        "csv": 6,
        "csv.reason.json": 6,
        "csv.gz": 1,
        "csv.gz.reason.json": 1,
        "csv.rejects.csv": 5,
    }


def test_counters_are_those_of_the_files(mixed):
    status = mixed.status()
    assert status["files"] == {
        "pending": 0,
        "running": 0,
        "failed": 0,
        "loaded": len(PLAIN),
        "quarantined": len(REFUSED),
    }
    rows = status["rows"]
    assert rows["read"] == rows["loaded"] + rows["rejected"] + rows["deduplicated"]
    assert rows["loaded"] + rows["deduplicated"] == 13 * ROWS - 3 * 4 - 20


def test_conditions_tell_that_all_is_done(mixed):
    status = mixed.status()
    told = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert told.pop("LastRunSucceeded") in {
        ("True", "Succeeded"),
        ("False", "FilesQuarantined"),
    }
    assert told == {
        "Ready": ("True", "Ready"),
        "Reconciling": ("False", "UpToDate"),
        "Stalled": ("False", "NotStalled"),
        "SourceReachable": ("True", "Listed"),
        "EventsReady": ("True", "Subscribed"),
        "ScheduleReady": ("True", "Scheduled"),
        "Fresh": ("Unknown", "NotWatched"),
    }
    generation = mixed.get()["metadata"]["generation"]
    assert {c["observedGeneration"] for c in status["conditions"]} == {generation}


def test_each_happening_is_told_once(mixed):
    jobs = mixed.jobs()
    outcomes = Counter(map(ended, jobs))
    assert mixed.happenings() == Counter(
        Accepted=1,
        RunStarted=len(jobs),
        RunSucceeded=outcomes["Complete"],
        RunQuarantinedFiles=outcomes["Failed"],
    )


def test_owner_sees_the_numbers_at_a_glance(mixed):
    shown = mixed.namespace.kubectl("get", "si", NAME)
    status = mixed.status()
    assert str(status["rows"]["loaded"]) in shown.split()
    assert str(status["rows"]["rejected"]) in shown.split()


# --- a file that is bad for good


@pytest.fixture(scope="module")
def malformed(installation):
    """An ingest whose only file is no sales file; waited for as its owner would."""
    ingest = Ingest.make(installation, "malformed", retry={"backoffSeconds": 1})
    ingest.put({"picture.csv": random.Random(2).randbytes(3000)})
    ingest.wait("condition=LastRunSucceeded=False")
    return ingest


def test_malformed_file_has_one_pod_and_is_in_quarantine(malformed):
    (pod,) = malformed.pods()
    (container,) = pod["status"]["containerStatuses"]
    assert container["state"]["terminated"]["exitCode"] == 65
    assert container["restartCount"] == 0
    assert malformed.keys("raw") == []
    assert len(malformed.keys("quarantine")) == 2


def test_malformed_file_is_not_tried_again(malformed):
    """What comes after it is run, and it still was tried once: the backoff is long over."""
    malformed.put({"good.csv": as_csv(sales_of("malformed", range(10)))})
    malformed.until(lambda status: status["files"]["loaded"] == 1 and is_done(status, 2))
    (refused, loaded) = malformed.ledger()
    assert (refused["attempt"], loaded["attempt"]) == (1, 1)
    assert [ended(job) for job in malformed.jobs()] == ["Failed", "Complete"]


def test_malformed_file_is_nobodys_emergency(malformed):
    """It lies in quarantine with a reason; whatever else arrives is loaded."""
    status = malformed.status()
    assert holds(status, "Ready")
    assert holds(status, "Stalled", "False")


# --- an ingest that cannot work


def test_ingest_without_a_bucket_is_stalled_and_says_what_to_do(installation):
    ingest = Ingest(installation, "nowhere")
    ingest.apply(source={"bucket": "no-such-bucket", "prefix": ingest.prefix})
    ingest.wait("condition=Stalled")
    ready = condition(ingest.status(), "Ready")
    assert ready["status"] == "False"
    assert "no-such-bucket" in ready["message"]
    assert ingest.happenings()["SourceUnreachable"] == 1


def test_refused_spec_is_stalled_until_it_is_corrected(installation):
    ingest = Ingest(installation, "wrong-zone")
    ingest.apply(trigger={"schedule": "@daily", "timeZone": "Mars/Olympus"})
    ingest.wait("condition=Stalled")
    assert condition(ingest.status(), "Ready")["reason"] == "InvalidSpec"
    ingest.patch(trigger={"timeZone": "Europe/Berlin"})
    ingest.wait("condition=Ready")
    told = ingest.happenings()
    assert (told["InvalidSpec"], told["SpecAccepted"]) == (1, 1)
