"""Run independent pieces of work, one after the other or on the caller's threads.

A `Run` takes thunks that write to no common array and returns when all of them are done. What a kernel returns
never depends on the `Run`: work is cut into the same pieces for any number of threads, and merged in their order.
"""

from collections.abc import Callable, Iterator, Sequence

Run = Callable[[Sequence[Callable[[], None]]], None]

BLOCK = 65_536  # customers per piece: large enough that a thread hop costs nothing, small enough to stay in L2


def run_serially(thunks: Sequence[Callable[[], None]]) -> None:
    """Run the thunks in order in the calling thread."""
    for thunk in thunks:
        thunk()


def blocks(n: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of the fixed blocks that cover 0 … n, in order; none when n is 0."""
    for start in range(0, n, BLOCK):
        yield start, min(start + BLOCK, n)
