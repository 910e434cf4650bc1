"""A team of threads for the kernels: nogil work is split over it, and results do not depend on its size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

__all__ = ["ThreadTeam"]


class ThreadTeam:
    """Runs independent thunks side by side: one on the calling thread, the others on helpers.

    Helpers never wait for other helpers, so callers may share a team without a deadlock.
    """

    def __init__(self, n_threads: int) -> None:
        if n_threads < 1:
            raise ValueError(f"n_threads is {n_threads}; at least 1 is needed")
        self.n_threads = n_threads
        self._helpers = ThreadPoolExecutor(n_threads - 1, thread_name_prefix="kernel") if n_threads > 1 else None

    def run(self, thunks: Sequence[Callable[[], None]]) -> None:
        """Runs every thunk and returns when all are done; the first exception is raised then."""
        if self._helpers is None or len(thunks) < 2:
            for thunk in thunks:
                thunk()
            return
        helpers = self._helpers
        queue = iter(thunks)  # next() on a tuple iterator is atomic under the interpreter's lock

        def work() -> None:
            for thunk in queue:
                thunk()

        futures = [helpers.submit(work) for _ in range(min(self.n_threads, len(thunks)) - 1)]
        try:
            work()
        finally:
            wait(futures)
        for future in futures:
            future.result()

    def close(self) -> None:
        if self._helpers is not None:
            self._helpers.shutdown()
