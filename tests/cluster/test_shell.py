"""Running programs: what comes back, and what a failure tells."""

import sys

import pytest

from cluster.shell import TAIL_LINES, ClusterError, run, succeeds

PRINT_INPUT = "import sys; print(sys.stdin.read().upper())"


def python(code):
    return [sys.executable, "-c", code]


def test_output_comes_back_and_input_goes_in():
    assert run(python(PRINT_INPUT), stdin="word") == "WORD\n"


def test_no_input_is_an_empty_one():
    """A program that reads shall not wait for a terminal."""
    assert run(python(PRINT_INPUT)) == "\n"


def test_variables_come_on_top_of_our_own(monkeypatch):
    monkeypatch.setenv("OURS", "1")
    code = "import os; print(os.environ['OURS'], os.environ['MORE'])"
    assert run(python(code), env={"MORE": "2"}) == "1 2\n"


def test_a_failure_tells_the_exit_code_and_the_end_of_the_output():
    lines = TAIL_LINES + 10
    code = f"for n in range({lines}): print('line', n)\nraise SystemExit(3)"
    with pytest.raises(ClusterError, match="exit code 3") as caught:
        run(python(code))
    assert f"| line {lines - 1}" in str(caught.value)
    assert "| line 0\n" not in str(caught.value)


def test_a_logged_program_leaves_its_output_in_the_log_which_a_failure_names(tmp_path):
    log = tmp_path / "deep" / "step.log"
    assert run(python("print('fine')"), log=log) == ""
    assert log.read_text() == "fine\n"
    with pytest.raises(ClusterError) as caught:
        run(python("import sys; sys.exit('broken')"), log=log)
    assert caught.value.where == str(log)
    assert "| broken" in str(caught.value)


def test_a_missing_program_is_named():
    with pytest.raises(ClusterError, match="program not found: no-such-program"):
        run(["no-such-program"])


@pytest.mark.parametrize(
    ("argv", "want"),
    [
        (python("pass"), True),
        (python("raise SystemExit(1)"), False),
        (["no-such-program"], False),
    ],
    ids=["well", "fails", "missing"],
)
def test_whether_a_program_succeeds(argv, want):
    assert succeeds(argv) is want


def test_an_error_shows_what_where_and_how_to_mend():
    shown = str(ClusterError("it broke", where="here", mend="Glue it."))
    assert shown == "it broke\n  where: here\n  Glue it."
