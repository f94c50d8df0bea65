"""Figures of the cluster: how values become figures, and how figures are told."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cluster import report
from bench.cluster.figures import Figure, Measurement, growth, percentile, told
from bench.results import at_most
from tests.docs import pages

VALUES = st.lists(st.floats(0, 1000), min_size=1, max_size=200)
MACHINE = {"commit": "abc", "cores": 2, "processor": "Some", "memory": "1 kB"}


def document(*figures, quick=False, notes=()):
    """As the program writes it."""
    found = Measurement(list(figures), list(notes))
    whole = {
        "ids": found.ids,
        "at": "2026-11-24T18:00:00+00:00",
        "load_1m": 0.5,
        "machine": MACHINE,
        "kubernetes": "v1.34.4",
        "figures": [figure.as_json(quick=quick) for figure in figures],
        "notes": found.notes,
    }
    return {"quick": quick, "measurements": [whole]}


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.99, 99), (1, 100), (0.001, 1), (0, 1)]
)
def test_a_percentile_of_a_hundred_values_is_the_value_of_that_rank(share, expected):
    assert percentile(range(100, 0, -1), share) == expected


@given(VALUES, st.floats(0, 1))
def test_a_percentile_was_measured_and_enough_values_do_not_exceed_it(values, share):
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= math.ceil(share * len(values))
    assert sum(value < found for value in values) <= max(share * len(values), 0)


def test_growth_is_told_by_quarters_not_by_single_readings():
    """A spike at either end is no growth, and a drop is less than none."""
    assert growth([10, 10, 99, 50, 60, 70, 12, 0, 12, 12, 12, 12]) == 2
    assert growth([20, 20, 10, 10]) == -10
    assert growth([7]) == 0


# --- verdicts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "holds"), [(0.5, True), (0.501, False)])
def test_a_figure_is_held_against_its_target(value, holds):
    figure = Figure("K1", "p50", value, "s", at_most(0.5)).as_json(quick=False)
    assert (figure["holds"], figure["target"]) == (holds, "≤ 0.5")


def test_a_quick_run_judges_nothing():
    assert Figure("K1", "p50", 0.1, "s", at_most(0.5)).as_json(quick=True)["holds"] is None


def test_what_has_no_target_is_not_judged():
    figure = Figure("K3", "time to plan", 7, "s").as_json(quick=False)
    assert (figure["target"], figure["holds"]) == (None, None)


def test_measures_that_share_their_runs_are_named_once_each():
    figures = [Figure(name, "x", 1, "s") for name in ("K1", "K1", "K2")]
    assert Measurement(figures).ids == ["K1", "K2"]


# --- telling --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, "0.123"), (99.94, "99.9"), (100.4, "100"), (12345.6, "12,346")]
)
def test_a_number_is_told_by_the_digits_that_count(value, text):
    assert report.shown(value) == text


def test_counts_are_told_from_the_largest_on():
    assert told({"GET pods": 2, "POST jobs": 1500}) == "1,502 (POST jobs 1,500, GET pods 2)"


def test_the_documentation_gets_verdicts_notes_and_where_they_come_from(tmp_path):
    """What stands around the two markers stays, and a second writing leaves one block."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.MARKS.begin}\nold\n{report.MARKS.end}\nafter\n")
    missed = Figure("K1", "PUT -> Job created, p50", 0.7, "s", at_most(0.5))
    for _ in range(2):
        report.write_docs(page, document(missed, notes=["100 files"]))
    text = page.read_text("utf-8")
    assert text.startswith(f"before\n{report.MARKS.begin}\n")
    assert text.endswith(f"{report.MARKS.end}\nafter\n")
    assert text.count("| K1 | PUT -> Job created, p50 | 0.7 s | ≤ 0.5 | missed |") == 1
    assert "- K1: 100 files" in text
    assert "- K1: 2026-11-24, commit abc: 2 cores (Some), 1 kB of memory" in text
    assert "old" not in text


def test_a_quick_run_does_not_get_into_the_documentation(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"{report.MARKS.begin}\n{report.MARKS.end}\n")
    with pytest.raises(ValueError, match="quick run"):
        report.write_docs(page, document(Figure("K1", "p50", 1, "s"), quick=True))


def test_the_table_has_each_figure_and_marks_a_quick_run():
    figures = [Figure("K2", "PUT -> rows", 1, "s"), Figure("K2", "p99", 2, "s")]
    assert report.table(document(*figures)).row_count == 2
    assert "QUICK" in report.table(document(*figures, quick=True)).title


def test_the_page_has_a_place_for_the_results():
    text = pages.text("docs/benchmarks.md")
    assert text.count(report.MARKS.begin) == text.count(report.MARKS.end) == 1
