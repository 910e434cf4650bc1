"""The thread team: everything runs once, errors come through, and callers that share it never wait for each other."""

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from service.threads import ThreadTeam, come_soon

PATIENCE = 5  # seconds until a deadlock is taken for one


@pytest.fixture(params=[1, 2, 3, 8])
def team(request: pytest.FixtureRequest) -> Iterator[ThreadTeam]:
    team = ThreadTeam(request.param)
    yield team
    team.close()


@pytest.fixture
def pair() -> Iterator[ThreadTeam]:
    team = ThreadTeam(2)
    yield team
    team.close()


@pytest.mark.parametrize("n", [0, 1, 2, 7, 100])
def test_everything_runs_once(team: ThreadTeam, n: int) -> None:
    ran: Counter[int] = Counter()
    lock = threading.Lock()

    def thunk(i: int) -> Callable[[], None]:
        def run() -> None:
            with lock:
                ran[i] += 1

        return run

    team.run([thunk(i) for i in range(n)])
    assert ran == Counter(range(n))


@pytest.mark.parametrize("n", [0, 1, 2, 7, 100])
def test_what_is_found_keeps_the_order_of_the_items(team: ThreadTeam, n: int) -> None:
    assert team.map(lambda text: int(text) ** 2, [str(i) for i in range(n)]) == [i * i for i in range(n)]


def test_an_error_comes_through_a_map(team: ThreadTeam) -> None:
    with pytest.raises(ZeroDivisionError):
        team.map(lambda i: 1 // i, [2, 1, 0, 1])


def test_thunks_run_side_by_side(pair: ThreadTeam) -> None:
    both = threading.Barrier(2)
    pair.run([lambda: _wait(both), lambda: _wait(both)])


def _wait(barrier: threading.Barrier) -> None:
    barrier.wait(PATIENCE)


@pytest.mark.parametrize("failing", [0, 1, 5, 9])
def test_an_error_comes_through(team: ThreadTeam, failing: int) -> None:
    def fail() -> None:
        raise ArithmeticError(f"thunk {failing}")

    thunks: list[Callable[[], None]] = [lambda: None] * 10
    thunks[failing] = fail
    with pytest.raises(ArithmeticError, match=f"thunk {failing}"):
        team.run(thunks)
    team.run([lambda: None] * 10)


def test_of_several_errors_the_first_in_order_is_raised(team: ThreadTeam) -> None:
    def failing(i: int) -> Callable[[], None]:
        def fail() -> None:
            raise ArithmeticError(i)

        return fail

    with pytest.raises(ArithmeticError) as caught:
        team.run([lambda: None, failing(1), failing(2), failing(3)])
    assert caught.value.args == (1,)


def test_after_an_error_nobody_is_still_at_work(pair: ThreadTeam) -> None:
    entered, done = threading.Event(), threading.Event()

    def slow() -> None:
        entered.set()
        released.wait(PATIENCE)
        done.set()

    def fail() -> None:
        entered.wait(PATIENCE)
        released.set()
        raise ArithmeticError

    released = threading.Event()
    with pytest.raises(ArithmeticError):
        pair.run([slow, fail])
    assert done.is_set()


def test_a_thunk_may_use_the_team(team: ThreadTeam) -> None:
    ran = []

    def inner() -> None:
        ran.append(1)

    def outer() -> None:
        team.run([inner] * 3)

    _in_time(lambda: team.run([outer] * 8))
    assert len(ran) == 24


def test_many_callers_share_a_team(pair: ThreadTeam) -> None:
    ran = []

    def call() -> None:
        for _ in range(20):
            pair.run([lambda: ran.append(1)] * 5)

    callers = [threading.Thread(target=call, daemon=True) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(PATIENCE)
        assert not caller.is_alive()
    assert len(ran) == 8 * 20 * 5


def test_a_caller_does_not_wait_for_a_helper_that_is_busy_elsewhere(pair: ThreadTeam) -> None:
    """The only helper holds on to another caller's thunk until ours are done."""
    helping, ours_done = threading.Event(), threading.Event()
    caller: list[threading.Thread] = []

    def hold() -> None:
        if threading.current_thread() is caller[0]:
            helping.wait(PATIENCE)
        else:
            helping.set()
            assert ours_done.wait(PATIENCE)

    other = threading.Thread(target=lambda: pair.run([hold, hold]), daemon=True)
    caller.append(other)
    other.start()
    assert helping.wait(PATIENCE)
    ran = []
    _in_time(lambda: pair.run([lambda: ran.append(1)] * 4))
    assert len(ran) == 4
    ours_done.set()
    other.join(PATIENCE)
    assert not other.is_alive()


def _in_time(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "deadlock"


def test_a_team_has_a_thread() -> None:
    with pytest.raises(ValueError, match="n_threads is 0; at least 1"):
        ThreadTeam(0)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads share the nice value of their process")
def test_helpers_stand_back_and_the_caller_does_not() -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    team, both, found = ThreadTeam(2, nice=19), threading.Barrier(2), {}

    def look() -> None:
        both.wait(PATIENCE)
        found[threading.get_ident()] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    team.run([look, look])
    team.close()
    assert found.pop(threading.get_ident()) == own
    assert list(found.values()) == [19]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has slices")
def test_who_comes_soon_is_as_nice_as_before_and_alone_in_it() -> None:
    found: list[tuple[int, int]] = []

    def look() -> None:
        found.append((os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), os.sched_getscheduler(0)))

    def run() -> None:
        look()
        come_soon()
        look()
        later = threading.Thread(target=look)
        later.start()
        later.join()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    before, (nice, policy), later = found
    assert (nice, policy & ~os.SCHED_RESET_ON_FORK) == before == later
