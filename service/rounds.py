"""Rounds of work: while the shards of a table take in what was prepared, threads that are done prepare the next pieces.

    round i:  every shard enters the pieces of round i − 1,  and the pieces of round i are prepared

One round of such pieces at a time: no thread waits between preparing and entering, only for the last piece of a round.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pyarrow as pa

from kernels.rfm import Prepared, RfmTable
from service.intake import batch_bytes
from service.threads import ThreadTeam

__all__ = ["PIECE_ROWS", "Piece", "Rounds"]

PIECE_ROWS = 65_536  # a thread prepares so many at a time
ROWS_AT_ONCE = 524_288  # half as many take 5 to 10 % longer: threads wait for the last piece; more take more memory
PIECES_AT_ONCE = 64


class Piece(NamedTuple):
    """Rows to be aggregated: at most PIECE_ROWS of a batch."""

    whole: pa.RecordBatch
    rows_before: int  # of the whole batch
    start: int  # row of the whole batch


Prepare = Callable[[Piece], Prepared]


class Rounds:
    """The pieces on their way into a table: queued, or prepared and not yet entered."""

    def __init__(self, table: RfmTable, team: ThreadTeam) -> None:
        self._table, self._team = table, team
        self._queue: list[Piece] = []
        self._prepared: list[Prepared] = []
        self._queued_rows = self._queued_bytes = 0
        self._prepared_rows = self._prepared_bytes = 0

    @property
    def rows(self) -> int:
        """Rows that are not in the table yet."""
        return self._queued_rows + self._prepared_rows

    @property
    def held_bytes(self) -> int:
        """Bytes of their batches."""
        return self._queued_bytes + self._prepared_bytes

    def is_due(self, n_rows: int = 0, n_pieces: int = 0) -> bool:
        """Whether there is enough for a round, with so many rows and pieces more."""
        return self._queued_rows + n_rows >= ROWS_AT_ONCE or len(self._queue) + n_pieces >= PIECES_AT_ONCE

    def add(self, batch: pa.RecordBatch, rows_before: int) -> None:
        """Queues a batch that so many rows came before."""
        self._queue += [Piece(batch, rows_before, start) for start in range(0, batch.num_rows, PIECE_ROWS)]
        self._queued_rows += batch.num_rows
        self._queued_bytes += batch_bytes(batch)

    def run(self, prepare: Prepare) -> None:
        """One round: enters what is prepared, prepares what is queued.

        `prepare` runs in any thread, and may raise: of several errors that of the earliest piece is raised. It is not
        kept, since it would keep the table alive when its owner has gone.
        """
        entering, pieces = self._prepared, self._queue
        found: dict[int, Prepared] = {}

        def prepare_one(i: int) -> None:
            found[i] = prepare(pieces[i])

        preparing = [partial(prepare_one, i) for i in range(len(pieces))]
        self._queue, self._prepared = [], []
        self._prepared_rows, self._prepared_bytes = self._queued_rows, self._queued_bytes
        self._queued_rows = self._queued_bytes = 0
        self._team.run([*self._table.entering(entering), *preparing])
        self._table.entered(entering)
        self._prepared = [found[i] for i in range(len(pieces))]

    def finish(self, prepare: Prepare) -> None:
        """Enters all that came."""
        while self._queue or self._prepared:
            self.run(prepare)
