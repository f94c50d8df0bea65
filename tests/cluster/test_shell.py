"""Running programs: what comes back, and what a failure tells."""

import os
import signal

import pytest

from cluster import shell as shell_module
from cluster.shell import TAIL_LINES, ClusterError, run, step, succeeds

EITHER = pytest.mark.parametrize("logged", [False, True], ids=["at once", "logged"])
SLEEPER = "echo $$; sleep 0.1; kill -USR1 $PPID; exec sleep 60"
"""Tells its number, interrupts who started it, and goes on."""


class Interruption(BaseException):
    """Somebody pressed Ctrl-C, as it were."""


@pytest.fixture
def interruptible():
    """SIGUSR1 interrupts this process as Ctrl-C would."""

    def interrupt(*_):
        raise Interruption

    before = signal.signal(signal.SIGUSR1, interrupt)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def typed(tmp_path):
    """Something to read on this process's own standard input."""
    before = os.dup(0)
    (tmp_path / "typed").write_text("typed")
    with (tmp_path / "typed").open() as file:
        os.dup2(file.fileno(), 0)
    yield
    os.dup2(before, 0)
    os.close(before)


def shell(code):
    return ["sh", "-c", code]


def test_output_comes_back_and_input_goes_in(typed):
    assert run(shell("tr a-z A-Z"), stdin="word") == "WORD"


@EITHER
def test_no_input_is_an_empty_one(tmp_path, typed, logged):
    """A program that reads shall neither wait for a terminal nor take what is for us."""
    log = tmp_path / "log" if logged else None
    told = run(["cat"], log=log)
    assert (log.read_text() if logged else told) == ""


@EITHER
def test_variables_come_on_top_of_our_own_and_the_folder_is_the_given_one(
    tmp_path, monkeypatch, logged
):
    monkeypatch.setenv("OURS", "1")
    log = tmp_path / "log" if logged else None
    told = run(shell('echo "$OURS $MORE"; pwd'), env={"MORE": "2"}, cwd=tmp_path, log=log)
    assert (log.read_text() if logged else told) == f"1 2\n{tmp_path}\n"


def test_a_failure_tells_the_command_the_exit_code_and_the_end_of_the_output():
    code = f"seq 1 {TAIL_LINES}; echo last >&2; exit 3"
    with pytest.raises(ClusterError) as caught:
        run([*shell(code), "a", "b", "c", "secret"])
    first, *tail = str(caught.value).splitlines()
    assert first == f"`sh -c {code} a b c` failed with exit code 3"
    assert tail == [*(f"  | {number}" for number in range(2, TAIL_LINES + 1)), "  | last"]


@EITHER
def test_output_that_is_no_text_does_not_hide_the_failure(tmp_path, logged):
    with pytest.raises(ClusterError, match=r"exit code 3\n  \| fran.ais"):
        run(shell(r"printf 'fran\347ais'; exit 3"), log=tmp_path / "log" if logged else None)


def test_a_logged_program_leaves_its_output_in_the_log_which_a_failure_names(tmp_path):
    log = tmp_path / "very" / "deep" / "step.log"
    assert run(shell("echo fine; echo fair >&2"), log=log) == ""
    assert log.read_text() == "fine\nfair\n"
    with pytest.raises(ClusterError) as caught:
        run(shell("echo broken; exit 1"), log=log)
    assert caught.value.where == str(log)
    assert "| broken" in str(caught.value)
    assert log.read_text() == "broken\n"


def test_a_logged_program_is_told_to_be_at_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shell_module, "HEARTBEAT_SECONDS", 0.1)
    run(shell("sleep 0.3"), log=tmp_path / "log")
    assert "still at it after 0 s\n" in capsys.readouterr().err


def test_a_logged_program_ends_with_whoever_is_interrupted(tmp_path, interruptible):
    log = tmp_path / "log"
    with pytest.raises(Interruption):
        run(shell(SLEEPER), log=log)
    with pytest.raises(ProcessLookupError):
        os.kill(int(log.read_text()), 0)


@EITHER
@pytest.mark.parametrize(
    ("mode", "reason"), [(None, "No such file"), (0o644, "Permission"), (0o755, "Exec format")]
)
def test_what_cannot_be_run_is_named_with_the_reason(tmp_path, mode, reason, logged):
    program = tmp_path / "program"
    if mode:
        program.write_bytes(b"\x7fELF, cut off")
        program.chmod(mode)
    with pytest.raises(ClusterError, match=f"cannot run {program}: {reason}") as caught:
        run([program], log=tmp_path / "log" if logged else None)
    assert caught.value.where == str(program)
    assert not succeeds([program])


@pytest.mark.parametrize(("code", "want"), [("exit 0", True), ("exit 1", False)])
def test_a_program_succeeds_with_exit_code_0(code, want):
    assert succeeds(shell(code)) is want


def test_a_program_may_succeed_by_its_environment():
    assert succeeds(shell('test "$MORE" = 2'), env={"MORE": "2"})


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({}, "it broke"),
        ({"mend": "Glue it."}, "it broke\n  Glue it."),
        ({"where": "here", "mend": "Glue it."}, "it broke\n  where: here\n  Glue it."),
    ],
    ids=["what", "mend", "all"],
)
def test_an_error_shows_what_where_and_how_to_mend(more, shown):
    assert str(ClusterError("it broke", **more)) == shown


def test_a_step_is_told_when_it_begins_and_only_a_good_end(capsys):
    with step("first"):
        assert capsys.readouterr().err == "[ .. ] first\n"
    assert capsys.readouterr().err == "[ ok ] first: 0 s\n"
    with pytest.raises(ClusterError), step("second"):
        raise ClusterError("it broke")
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "[ .. ] second\n")
