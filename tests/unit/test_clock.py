"""The clock's instants: each is given out once."""

from concurrent.futures import ThreadPoolExecutor

from redshank.core.clock import HOUR, FakeClock, Instants

START = 1_700_000_000_000_000


def test_instants_are_those_of_the_clock_while_nobody_else_asks():
    clock = FakeClock(START)
    instants = Instants(clock)
    assert instants.take() == START
    clock.advance(1)
    assert instants.take() == START + 1_000_000


def test_no_instant_is_given_out_twice():
    """By threads, and after those that were given out before."""
    instants = Instants(FakeClock(START), after=START + 9)
    with ThreadPoolExecutor(4) as threads:
        firsts = list(threads.map(instants.take, [3] * 1000))
    assert sorted(firsts) == list(range(START + 10, START + 3010, 3))


def test_a_clock_that_is_set_back_is_followed():
    clock = FakeClock(START)
    instants = Instants(clock)
    instants.take()
    clock.advance(-3600)
    assert instants.take() == START - HOUR
