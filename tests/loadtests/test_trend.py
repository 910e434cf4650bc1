"""A slope is told from noise, and a process is looked at."""

import mmap
import os
import threading

import numpy as np

from loadtests.trend import trend
from loadtests.watch import Watch, usage


def test_noise_is_no_trend_and_a_trend_is() -> None:
    random = np.random.default_rng(3)
    seconds = np.arange(400.0) * 3
    noise = 200.0 + random.normal(0, 5, 400)
    flat = trend(seconds, noise, 20)
    assert not flat.grows
    assert abs(flat.level - 200) < 1
    grown = trend(seconds, noise + seconds / 3600 * 30, 20)  # blocks of equal size, so medians grow by as much, nearly
    assert grown.grows
    assert abs(grown.slope_per_hour - 30 - flat.slope_per_hour) < 1
    assert not trend(seconds, noise - seconds / 3600 * 30, 20).grows


def test_a_series_that_never_moves_is_flat() -> None:
    found = trend(range(10), [7.0] * 10, 5)
    assert (found.level, found.slope_per_hour, found.half_width_per_hour, found.grows) == (7.0, 0.0, 0.0, False)
    assert not trend(np.arange(1201) * 0.9937, [14.0] * 1201, 20).grows


def test_what_a_process_uses_is_counted() -> None:
    before = usage(os.getpid())
    held = mmap.mmap(-1, 20 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # new pages, never some freed before
    np.frombuffer(held, np.uint8)[:] = 1
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    after = usage(os.getpid())
    assert after.anonymous_bytes - before.anonymous_bytes > len(held) / 2
    assert (after.files, after.threads) == (before.files + 5, before.threads + 1)
    ended.set()
    thread.join()
    for fd in opened:
        os.close(fd)
    with Watch(os.getpid(), 60.0) as watch:
        pass
    assert watch.samples[0].files >= before.files
