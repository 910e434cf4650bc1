import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ErrorCode, RequestError
from service.text_values import numbers, time_form, times

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))


@given(
    st.lists(
        st.datetimes(min_value=dt.datetime(1900, 1, 2), max_value=dt.datetime(2200, 1, 1), timezones=ZONES), min_size=1
    )
)
def test_times_with_offsets(values: list[dt.datetime]) -> None:
    texts = pa.array([value.isoformat() for value in values])
    assert times(texts, time_form(texts), "t", 1).to_pylist() == values


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_numbers(values: list[float]) -> None:
    assert numbers(pa.array([repr(value) for value in values]), "n", 1).to_pylist() == values


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2026-01-31", "date"),
        ("2026-01-31T00:00:00", "naive"),
        ("2026-01-31 00:00:00", "naive"),
        ("2026-01-31T00:00:00z", "zoned"),
        ("2026-01-31T00:00:00-05:00", "zoned"),
        ("2026-01-31T00:00:00+0530", "zoned"),
        ("31.01.2026", None),
        ("1769817600", None),
    ],
)
def test_forms(text: str, form: str | None) -> None:
    assert time_form(pa.array([None, text])) == form


@given(n=st.integers(1, 200), bad=st.integers(0, 199), first_row=st.integers(1, 10**9))
def test_the_first_bad_row_is_named(n: int, bad: int, first_row: int) -> None:
    bad %= n
    texts = ["1.5"] * bad + ["1,5"] * (n - bad)
    with pytest.raises(RequestError) as caught:
        numbers(pa.array(texts), "amount", first_row)
    assert caught.value.code is ErrorCode.BAD_VALUE
    assert caught.value.facts["row"] == first_row + bad
    assert caught.value.facts["found"] == "1,5"


@pytest.mark.parametrize(
    ("texts", "row", "remedy"),
    [
        ([None, "2026-02-30"], 2, "Write it like that."),
        (["2026-01-01t10:00:00[Europe/Berlin]"], 1, "Write it like that."),
        (["2026-02-28t10:00:00z", "2026-02-30t10:00:00z"], 2, "same form"),
    ],
)
def test_a_time_that_is_none_is_told_as_it_came(texts: list[str | None], row: int, remedy: str) -> None:
    array = pa.array(texts)
    with pytest.raises(RequestError) as caught:
        times(array, time_form(array), "timestamp", 1)
    assert (caught.value.facts["row"], caught.value.facts["found"]) == (row, texts[row - 1])
    assert remedy in caught.value.detail


def test_only_nulls() -> None:
    texts = pa.nulls(3, pa.utf8())
    assert times(texts, time_form(texts), "t", 1).type == pa.timestamp("us", "UTC")
    assert numbers(texts, "n", 1).null_count == 3
