"""Ids are numbered as they come, whatever kind they are of."""

import numpy as np
import pyarrow as pa
import pytest

from proto.errors import RequestError
from proto.limits import Limits
from service.columns import id_column, keys_of
from service.numbering import Numbering


@pytest.mark.parametrize("ids", [pa.array(["b", "a", "b", "c"]), pa.array([7, -1, 7, 0], pa.int32())])
def test_numbers_go_by_first_appearance(ids: pa.Array) -> None:
    found = Numbering(ids.type, Limits())
    rows, numbers = found.number(keys_of(ids), np.array([True, False, True, True]))
    assert (rows.tolist(), numbers.tolist()) == ([0, 2, 3], [0, 0, 1])
    assert found.number(keys_of(ids))[1].tolist() == [0, 2, 0, 1]
    assert id_column(found.keys(), ids.type).equals(ids.take(pa.array([0, 3, 1])))
    assert (found.n, found.name(2)) == (3, str(ids[1].as_py()))
    assert found.nbytes > 0


def test_text_is_limited() -> None:
    found = Numbering(pa.utf8(), Limits(max_string_bytes=3))
    with pytest.raises(RequestError, match="max_string_bytes"):
        found.number(keys_of(pa.array(["ab", "cd"])))
