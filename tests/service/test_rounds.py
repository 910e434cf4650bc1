"""Pieces are entered in their order, one round after they were prepared, and what still waits is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest

from kernels.keys import FixedKeys
from kernels.rfm import Occasion, Plan, Prepared, Refunds, RfmTable, Rows
from service import rounds
from service.rounds import Piece, Rounds
from service.threads import ThreadTeam

NONE = np.zeros(0, np.int64)
PLAN = Plan(Occasion.ROW, Refunds.NET, -(2**63), 2**63 - 1, 1, NONE, np.zeros(1, np.int64), "float", True)


@pytest.fixture(params=[1, 2, 3])
def team(request: pytest.FixtureRequest) -> Iterator[ThreadTeam]:
    team = ThreadTeam(request.param)
    yield team
    team.close()


def batch_of(start: int, n: int) -> pa.RecordBatch:
    return pa.record_batch({"id": pa.array(range(start, start + n), pa.int64())})


def preparing(table: RfmTable) -> Callable[[Piece], Prepared]:
    def prepare(piece: Piece) -> Prepared:
        ids = piece.whole.slice(piece.start, rounds.PIECE_ROWS)["id"].to_numpy()
        if -1 in ids:
            raise ValueError(f"row {piece.rows_before + piece.start}")
        rows = Rows(FixedKeys((ids % 7).astype(np.uint64)), ids, ids / 10)
        return table.prepare(rows, piece.rows_before + piece.start)

    return prepare


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "PIECE_ROWS", 10)
    monkeypatch.setattr(rounds, "ROWS_AT_ONCE", 40)


def test_the_table_is_that_of_all_rows_at_once(team: ThreadTeam) -> None:
    table, whole = RfmTable(PLAN, team.n_threads), RfmTable(PLAN)
    ids = np.arange(230)
    whole.add(Rows(FixedKeys((ids % 7).astype(np.uint64)), ids, ids / 10), 0)
    ours, n = Rounds(table, team), 0
    for size in (5, 25, 70, 1, 0, 99, 30):
        ours.add(batch_of(n, size), n)
        n += size
        if ours.is_due():
            ours.run(preparing(table))
        assert table.counts.rows + ours.rows == n
        assert ours.held_bytes == 8 * ours.rows
    ours.finish(preparing(table))
    assert ours.rows == ours.held_bytes == 0
    found, wanted = table.finish(), whole.finish()
    assert found.sums.tobytes() == wanted.sums.tobytes()
    assert found.first_row.tolist() == wanted.first_row.tolist()
    assert table.counts == whole.counts


def test_a_round_enters_what_the_one_before_prepared(team: ThreadTeam) -> None:
    table = RfmTable(PLAN, team.n_threads)
    ours = Rounds(table, team)
    ours.add(batch_of(0, 40), 0)
    assert ours.is_due()
    ours.run(preparing(table))
    assert (table.counts.rows, ours.rows, ours.is_due()) == (0, 40, False)
    assert ours.is_due(39, 1) is False
    assert ours.is_due(40, 1)
    ours.run(preparing(table))
    assert (table.counts.rows, ours.rows) == (40, 0)


def test_many_small_batches_are_a_round_too(team: ThreadTeam, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "PIECES_AT_ONCE", 3)
    ours = Rounds(RfmTable(PLAN), team)
    for n in range(3):
        assert not ours.is_due()
        ours.add(batch_of(n, 1), n)
    assert ours.is_due()


def test_of_several_errors_that_of_the_earliest_piece_is_raised(team: ThreadTeam) -> None:
    table = RfmTable(PLAN)
    ours = Rounds(table, team)
    bad = np.arange(40)
    bad[[15, 35]] = -1
    ours.add(pa.record_batch({"id": bad}), 100)
    with pytest.raises(ValueError, match="row 110"):
        ours.finish(preparing(table))
