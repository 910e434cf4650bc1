import numpy as np

from kernels.accumulators import with_room


def test_room_keeps_what_is_there_and_fills_the_rest() -> None:
    values = with_room(np.empty(0), 1, np.nan)
    assert np.isnan(values).all()
    values[0] = 3.0
    assert with_room(values, 1, 0.0) is values
    wide = with_room(values, len(values) + 1, 7.0)
    assert wide[0] == 3.0
    assert set(wide[len(values) :].tolist()) == {7.0}


def test_room_of_columns_side_by_side() -> None:
    values = with_room(np.ones((2, 12)), 1000, 0.0)
    assert values.shape[0] >= 1000
    assert values.sum() == 24.0
