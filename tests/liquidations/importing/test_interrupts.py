"""Ctrl-C at every moment of an import."""

import os
import signal
import weakref
from collections.abc import Callable

import pytest

from liquidations.importing.interrupts import Interrupts


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def interrupted(work: Callable[[Interrupts], None]) -> None:
    interrupts = Interrupts()
    with pytest.raises(KeyboardInterrupt), interrupts.watched():
        work(interrupts)


def test_ctrl_c_takes_effect_at_once() -> None:
    steps: list[str] = []

    def work(interrupts: Interrupts) -> None:
        ctrl_c()
        steps.append("it went on")

    interrupted(work)
    assert not steps


def test_what_is_deferred_is_finished_first() -> None:
    steps: list[str] = []

    def work(interrupts: Interrupts) -> None:
        with interrupts.deferred():
            ctrl_c()
            steps.append("stored and counted")
        steps.append("it went on")

    interrupted(work)
    assert steps == ["stored and counted"]


def test_a_second_one_does_not_wait() -> None:
    steps: list[str] = []

    def work(interrupts: Interrupts) -> None:
        with interrupts.deferred():
            ctrl_c()
            ctrl_c()
            steps.append("it went on")

    interrupted(work)
    assert not steps


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_a_finalizer_has_swallowed_takes_effect_after_the_next_batch() -> None:
    steps: list[str] = []

    class Garbage:
        pass

    def work(interrupts: Interrupts) -> None:
        garbage = Garbage()
        weakref.finalize(garbage, ctrl_c)
        del garbage
        steps.append("nothing was raised")
        with interrupts.deferred():
            steps.append("stored and counted")
        steps.append("it went on")

    interrupted(work)
    assert steps == ["nothing was raised", "stored and counted"]


def test_afterwards_the_signal_is_handled_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts().watched():
        pass
    assert signal.getsignal(signal.SIGINT) is before
