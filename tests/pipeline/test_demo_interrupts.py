"""Ctrl-C waits for a start or a clean-up to end, and then counts."""

import signal
import threading

import pytest

from sales_pipeline.demo.interrupts import ending_in_order, held_back

ENDING = [signal.SIGINT, signal.SIGTERM]


def handlers():
    return [signal.getsignal(number) for number in ENDING]


@pytest.fixture(autouse=True)
def _handlers_are_put_back():
    """No test leaves a handler behind."""
    before = handlers()
    yield
    assert handlers() == before


@pytest.mark.parametrize("numbers", [ENDING[:1], ENDING[1:], [*ENDING, *ENDING]])
def test_signal_counts_after_the_block(numbers):
    """The block is run to its end, however impatient the person, and the signal is not lost."""
    reached = []

    def work():
        for number in numbers:
            signal.raise_signal(number)
        reached.append("end")

    with pytest.raises(KeyboardInterrupt), ending_in_order(), held_back():
        work()
    assert reached == ["end"]


def test_error_of_the_block_stays_its_error():
    """Without a signal the block's own error comes out."""
    with pytest.raises(ValueError, match="own"), held_back():
        raise ValueError("own")


def test_termination_ends_the_block_as_ctrl_c_does():
    """SIGTERM becomes an exception, so that what the block opened is closed."""
    with pytest.raises(KeyboardInterrupt), ending_in_order():
        signal.raise_signal(signal.SIGTERM)


def test_other_threads_are_left_alone():
    """In a thread, which no signal interrupts, both do nothing."""
    ran = []

    def work():
        with ending_in_order(), held_back():
            ran.append(handlers())

    before = handlers()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == [before]
