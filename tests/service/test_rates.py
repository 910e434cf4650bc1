"""The token bucket, against a clock that a test moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.rates import TokenBucket
from tests.service.clock import Clock


def test_a_burst_then_the_rate(clock: Clock) -> None:
    bucket = TokenBucket(2, 3, clock)
    assert [bucket.take() for _ in range(3)] == [0, 0, 0]
    assert bucket.take() == 1  # half a second, told as a whole one
    clock.now += 0.5
    assert bucket.take() == 0
    assert bucket.take() == 1


def test_a_slow_rate_says_how_long(clock: Clock) -> None:
    bucket = TokenBucket(0.01, 1, clock)
    assert bucket.take() == 0
    assert bucket.take() == 100
    clock.now += 99
    assert bucket.take() == 1
    clock.now += 1
    assert bucket.take() == 0


def test_it_never_holds_more_than_a_burst(clock: Clock) -> None:
    bucket = TokenBucket(1000, 2, clock)
    clock.now += 1e6
    assert [bucket.take() for _ in range(3)] == [0, 0, 1]


@given(
    st.floats(0.1, 100),
    st.floats(1, 50),
    st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_no_more_pass_than_rate_and_burst_allow(rate: float, burst: float, pauses: list[float]) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, burst, clock)
    start, passed = clock.now, 0
    for pause in pauses:
        clock.now += pause
        passed += bucket.take() == 0
        assert passed <= burst + rate * (clock.now - start) + 1e-6


@given(st.floats(0.1, 100), st.floats(1, 5))
def test_who_waits_as_long_as_told_is_let_in(rate: float, burst: float) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, burst, clock)
    while not (seconds := bucket.take()):
        pass
    clock.now += seconds
    assert bucket.take() == 0
