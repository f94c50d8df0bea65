"""The page for people, and the same for machines."""

import json

from deploy.health import Row, judge
from deploy.page import machine, page
from tests.deploy.objects import NOW, RELEASE, certificate, well

FAILED = {"release": RELEASE | {"status": "failed"}}


def test_a_page_is_tables_and_a_verdict():
    text = page(judge(well(certificates={"minio-tls": certificate(90)}), NOW))
    assert text == (
        "NODE                    READY  KUBERNETES\n"
        "minidata-control-plane  yes    v1.34.4\n"
        "\n"
        "RELEASE   REVISION  STATUS\n"
        "minidata  3         deployed\n"
        "\n"
        "PART   READY  RESTARTS  SEALED\n"
        "minio  1/1    0\n"
        "vault  1/1    0         no\n"
        "\n"
        "JOB                   STATE\n"
        "vault-setup-db43f0c6  complete\n"
        "\n"
        "CERTIFICATE  DAYS LEFT  EXPIRES\n"
        "minio-tls    90         2027-02-26\n"
        "\n"
        "VOLUME        SIZE  PHASE\n"
        "data-minio-0  2Gi   Bound\n"
        "\n"
        "INGEST  READY  PENDING  RUNNING  LOADED  REJECTED  LAST SUCCESS\n"
        "sales   True   1        2        990     10        2026-11-28T15:12:40Z\n"
        "\n"
        "All is well."
    )


def test_a_page_ends_with_what_to_do():
    last = page(judge(well(**FAILED), NOW)).splitlines()[-2:]
    assert last == ["Not well:", "  minidata: it is failed. To do: `make up` mends it."]


def test_a_column_that_nobody_fills_is_left_out():
    rows = [Row("parts", {"part": "minio", "ready": "1/1", "sealed": None})]
    assert page(rows).splitlines()[:2] == ["PART   READY", "minio  1/1"]


def test_machines_get_the_same():
    told = json.loads(machine(judge(well(**FAILED), NOW)))
    assert told["well"] is False
    (release,) = told["release"]
    assert release == {
        "release": "minidata",
        "revision": 3,
        "status": "failed",
        "well": False,
        "wrong": "it is failed",
        "mend": "`make up` mends it",
    }
    assert told["certificates"][0]["days_left"] == 90
    assert json.loads(machine(judge(well(), NOW)))["well"] is True
