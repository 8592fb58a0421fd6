"""The timed loop with a clock that only the work advances."""

import gc

from fake_clock import Clock

from edgebert.measure.loop import quiet, timed, timed_for


def test_latencies_are_of_the_calls_in_their_order() -> None:
    clock, asked = Clock(), []
    work = clock.work(5, 7, 11)
    assert timed(lambda at: (asked.append(at), work(at)), 5, clock) == [5, 7, 11, 5, 7]
    assert asked == [0, 1, 2, 3, 4]


def test_between_two_readings_of_the_clock_stands_nothing_but_the_call() -> None:
    assert timed(Clock().work(9), 3, Clock(read_ns=1)) == [1, 1, 1]


def test_time_limits_the_loop_and_the_last_call_is_finished() -> None:
    clock = Clock()
    latencies = timed_for(clock.work(300_000_000, 400_000_000), 1.0, clock)
    assert latencies.tolist() == [300_000_000, 400_000_000, 300_000_000]
    assert latencies.itemsize == 8
    assert timed_for(clock.work(5), 0.0, clock).tolist() == []


def test_the_collector_is_kept_out() -> None:
    frozen = gc.get_freeze_count()
    try:
        quiet()
        assert not gc.isenabled()
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
        gc.enable()
