"""The benchmarks run, and leave a complete result file; their figures are nobody's concern here."""

import json
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SIDES = {
    "P2": ["pipeline", "bare COPY"],
    "P3": ["first load", "second load"],
    "P7": ["validate()", "check()", "plain pydantic"],
}
FIGURES = {"seconds", "process_seconds", "rows", "rows_per_second", "peak_mib"}


def bench(*arguments):
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def result_file(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "new" / "bench.json"
    done = bench("--quick", "--only", "p2,P3,P7", "--rows", 2_000, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def document(result_file):
    return json.loads(result_file.read_text("utf-8"))


def test_each_measure_asked_for_is_there_with_all_its_sides(document):
    """Nothing more and nothing less than asked for is measured, in order."""
    found = {m["id"]: [side["name"] for side in m["sides"]] for m in document["measures"]}
    assert found == SIDES
    assert list(found) == sorted(found)


def test_each_side_has_its_repeats_and_medians(document):
    """Every run of every side has all figures, and lies around its median."""
    sides = [side for measure in document["measures"] for side in measure["sides"]]
    for side in sides:
        assert len(side["runs"]) == document["options"]["repeats"] == 2
        assert all(run[figure] > 0 for run in side["runs"] for figure in FIGURES)
        times = [run["seconds"] for run in side["runs"]]
        assert min(times) <= side["median_seconds"] <= max(times)


def test_value_is_the_ratio_of_medians(document):
    """The value of a comparison can be computed again from what is told of its sides."""
    p3 = document["measures"][1]
    first, second = (side["median_seconds"] for side in p3["sides"])
    assert p3["value"] == pytest.approx(second / first, rel=0.05)


def test_quick_run_is_marked_and_judges_nothing(document):
    """A quick run says that it is one, and of no target whether it holds."""
    assert document["quick"] is True
    assert [m["holds"] for m in document["measures"]] == [None] * 3
    assert all(m["target"] for m in document["measures"])


def test_where_figures_come_from_is_told(document):
    """Cores, versions and the settings of the server are in the file."""
    assert document["machine"]["cores"] >= 1
    assert document["machine"]["packages"]["polars"]
    assert document["postgres"]["version"].startswith("18.")
    assert document["postgres"]["settings"]["shared_buffers"]
    assert document["options"]["rows"] == 2_000


def test_quick_results_do_not_get_into_the_documentation(result_file):
    """What was measured with small sizes is refused where figures are published."""
    page = ROOT / "docs" / "benchmarks.md"
    before = page.read_bytes()
    done = bench("--write-docs", "--out", result_file)
    assert done.returncode != 0
    assert "quick run" in done.stderr
    assert page.read_bytes() == before


def test_unknown_measure_is_refused_before_anything_starts(tmp_path):
    """A misspelt measure is named at once, with a non-zero exit."""
    done = bench("--only", "P2,P99", "--out", tmp_path / "bench.json")
    assert done.returncode == 2
    assert "P99" in done.stderr
    assert not (tmp_path / "bench.json").exists()


def test_results_replace_the_block_of_the_page_and_nothing_else(document, tmp_path):
    """What stands around the two markers stays, and a second writing leaves one block."""
    from bench import report

    page = tmp_path / "page.md"
    page.write_text(
        f"before\n{report.MARKS.begin}\nold\n{report.MARKS.end}\nafter\n", encoding="utf-8"
    )
    for _ in range(2):
        report.write_docs(page, {**document, "quick": False})
    text = page.read_text("utf-8")
    assert text.startswith(f"before\n{report.MARKS.begin}\n")
    assert text.endswith(f"{report.MARKS.end}\nafter\n")
    assert text.count("| P3 | first load |") == 1
    assert "old" not in text
