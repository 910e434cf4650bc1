import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels.few_values import FEW, FewValues

from .accumulator_rows import ROWS, Row, part_of

N = 2
WIDE = 2**40
MANY = st.lists(
    st.builds(Row, st.integers(0, N - 1), st.just(rec.PURCHASE), st.just(0), st.just(1), st.none(), st.integers(0, 25)),
    max_size=60,
)


def naive(rows: list[Row], n_places: int) -> tuple[dict[int, list[int]], list[tuple[int, int]]]:
    """(kept by customer, pairs beyond)"""
    kept: dict[int, list[int]] = {}
    beyond = []
    for row in rows:
        own = kept.setdefault(row.customer, [])
        if row.action != rec.PURCHASE or row.code is None or row.code in own:
            continue
        if len(own) < n_places and (n_places == FEW or row.code < WIDE):
            own.append(row.code)
        else:
            beyond.append((row.customer, row.code))
    return kept, beyond


@given(ROWS | MANY, st.integers(0, 60), st.sets(st.integers(0, 59)))
def test_the_first_few_are_kept_and_the_others_are_told(rows: list[Row], cut: int, far: set[int]) -> None:
    rows = [row._replace(code=WIDE) if i in far else row for i, row in enumerate(rows)]  # it needs 64 bits
    pieces = [rows[:cut], rows[cut:]]
    few, found = FewValues("code"), []
    for piece in pieces:
        numbers, values = few.add(part_of(piece, "float"))
        found += list(zip(numbers.tolist(), values.tolist(), strict=True))
    n_places = few.kept(0).shape[1]
    kept, beyond = naive(rows, n_places)
    assert found == beyond
    n = max(kept, default=-1) + 1
    wanted = np.full((n, n_places), few.free)
    for customer, values_ in kept.items():
        wanted[customer, : len(values_)] = values_
    assert few.kept(n).tolist() == wanted.tolist()
    assert few.n_values == np.count_nonzero(wanted != few.free)
