"""A progress bar on stderr for whatever takes longer than a second."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from types import TracebackType

import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from service.cli.figures import count

__all__ = ["Progress"]

PATIENCE_SECONDS = 1.0


class Progress:
    """One line for the step that runs; nothing at all when everything is over within a second, or in a pipe."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(show_speed=False),
            TextColumn("[dim]{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        self._bars = Bars(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task: TaskID | None = None
        self._lock = threading.Lock()
        self._over = False
        self._timer = threading.Timer(PATIENCE_SECONDS, self._begin)
        self._timer.daemon = True

    def __enter__(self) -> Progress:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._over = True
            self._bars.stop()

    def _begin(self) -> None:
        with self._lock:
            if not self._over:
                self._bars.start()

    def step(self, words: str, total: float | None = None) -> None:
        """The line is about `words` from now on; without a total it only shows that something happens."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(words, total=total, note="")

    def at(self, done: float, note: str = "") -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=done, note=note)

    def rows(self, batches: Iterable[pa.RecordBatch], words: str, total: int | None) -> Iterator[pa.RecordBatch]:
        """The batches, counted as they pass."""
        self.step(words, total)
        passed = 0
        for batch in batches:
            yield batch
            passed += batch.num_rows
            self.at(passed, count(passed, "row"))
