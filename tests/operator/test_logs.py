"""Logs: a JSON document a line, and no text of foreign exceptions in it."""

import asyncio
import io
import json
import logging
import sys

import pytest

from sales_operator import logs

SECRET = "hunter2"


@pytest.fixture
def logger():
    """A logger of ours, and the root as it was before."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, {n: logging.getLogger(n).level for n in logs._LOUD})
    yield logging.getLogger("sales_operator.tried")
    root.handlers[:], level, levels = before
    root.setLevel(level)
    for name, value in levels.items():
        logging.getLogger(name).setLevel(value)


@pytest.fixture
def start(logger, monkeypatch):
    """Begins to log; gives what tells as documents what was logged so far."""

    def begin(level):
        written = io.StringIO()
        monkeypatch.setattr(sys, "stderr", written)
        logs.start(level)
        return lambda: [json.loads(line) for line in written.getvalue().split("\n")[:-1]]

    return begin


@pytest.fixture
def told(start):
    return start("info")


def test_line_says_when_how_grave_who_and_what(logger, told):
    logger.warning("look failed")
    (line,) = told()
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "sales_operator.tried",
        "event": "look failed",
    }


def test_extras_are_fields_and_empty_ones_are_left_out(logger, told):
    logger.info("run launched", extra={"ingest": "sales/daily", "objects": 3, "why": None})
    (line,) = told()
    assert (line["ingest"], line["objects"]) == ("sales/daily", 3)
    assert "why" not in line


def test_what_json_cannot_hold_is_written_as_text(logger, told):
    logger.info("odd", extra={"odd": {1}, "odder": pytest})
    assert told()[0]["odd"] == "{1}"


def test_text_of_many_lines_is_one_line(logger, told):
    logger.info("a\nb\r\u2028c", extra={"more": "d\ne"})
    (line,) = told()
    assert (line["event"], line["more"]) == ("a\nb\r\u2028c", "d\ne")


def test_long_text_is_cut(logger, told):
    logger.info("x" * 10_000)
    assert len(told()[0]["event"]) == 2000


def test_key_that_is_no_text_is_logged_all_the_same(logger, told):
    """Names of objects may hold anything."""
    logger.info("odd", extra={"key": "raw/\udcff.csv"})
    assert told()[0]["key"].startswith("raw/")


# --- exceptions


def fail():
    raise ValueError(SECRET)


def test_of_an_exception_its_type_and_places_are_told_and_not_its_text(logger, told):
    try:
        fail()
    except ValueError:
        logger.exception("look failed")
    (line,) = told()
    assert line["error"].startswith("ValueError < test_logs.py:")
    assert " fail < " in line["error"]
    assert SECRET not in json.dumps(line)


def test_of_a_group_each_exception_is_told(logger, told):
    """A worker that ends by a defect ends its TaskGroup: what counts is the worker's."""

    async def work():
        fail()

    async def lead():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(work())
            await asyncio.Event().wait()

    try:
        asyncio.run(lead())
    except ExceptionGroup:
        logger.exception("ended by a defect")
    (line,) = told()
    assert "ValueError < test_logs.py:" in line["error"]
    assert "work" in line["error"]
    assert SECRET not in json.dumps(line)


def test_call_without_an_exception_at_hand_is_no_trouble(logger, told):
    logger.error("odd", exc_info=True)  # noqa: LOG014 - that is what is tried
    assert "error" not in told()[0]


# --- levels


@pytest.mark.parametrize(
    ("level", "talkers"), [("debug", {"sales_operator.tried", "kopf.objects"}), ("info", set())]
)
def test_details_are_told_on_demand_but_never_the_signatures_of_requests(start, level, talkers):
    told = start(level)
    for name in ("sales_operator.tried", "kopf.objects", "botocore.auth"):
        logging.getLogger(name).debug("StringToSign")
    assert {line["logger"] for line in told()} == talkers


def test_libraries_warn(logger, told):
    logging.getLogger("kopf.objects").info("not told")
    logging.getLogger("kopf.objects").warning("told")
    assert [line["event"] for line in told()] == ["told"]


def test_what_kopf_adds_to_its_records_is_left_out(logger, told):
    logger.info("seen", extra={"k8s_ref": {"name": "x"}, "k8s_skip": True, "settings": object()})
    assert set(told()[0]) == {"at", "level", "logger", "event"}
