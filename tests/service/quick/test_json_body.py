"""JSON read where it lies and answered around what came: the bytes of the general path, however a body is written."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.limits import Limits
from proto.media import Media
from service.quick.path import QuickPath
from tests.service.quick.test_path import QUERIES, answers, customers, store

NUMBER_TEXTS = st.one_of(
    st.floats(0, 1e4).map(lambda value: repr(round(value, 2))),
    st.floats(1e-9, 1e9).map(repr),
    st.integers(0, 2**53).map(str),
    st.sampled_from(
        ["0.0", "-0.0", "-0", "5.10", "1e3", "2.5E-2", "0.1234567890123456", "12345678901234567.0", "null"]
    ),
)
ID_TEXTS: tuple[Callable[[int], str], ...] = (
    lambda i: str(i),
    lambda i: str(-(10**i)),
    lambda i: f'"c{i}"',
    lambda i: f'"客户 {i}"',
    lambda i: f'"\\u00e9{i}"',
    lambda i: f'"\\n{i}"',
    lambda i: f'"a{i % 7}"',  # there twice, where there are many
)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_however_a_document_is_written_the_reply_is_the_same(data: st.DataObject) -> None:
    """Its values and spaces drawn, a plain one of the same form answered before: the general path's answer, or none."""
    n = data.draw(st.integers(1, 9))
    comma, colon = data.draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:")]))
    id_text = data.draw(st.sampled_from(ID_TEXTS))
    texts = {"customer_id": [id_text(i) for i in range(n)]}
    for name in ("frequency", "monetary", "recency_days"):
        texts[name] = data.draw(st.lists(NUMBER_TEXTS, min_size=n, max_size=n))
    if data.draw(st.booleans()):
        texts["note"] = [data.draw(st.sampled_from(['"x"', "1", "null", "[]"]))] * n
    path, query = (
        QuickPath(store(), Limits()),
        data.draw(QUERIES.filter(lambda text: "=people" in text or "=shop" in text)),
    )
    plain = orjson.dumps({"columns": {name: [j + 0.5 for j in range(n)] for name in texts if name != "customer_id"}})
    ids = orjson.dumps({"customer_id": list(range(n))})[1:-1]
    answers(query, plain.replace(b'{"columns":{', b'{"columns":{' + ids + b","), Media.JSON, path)
    columns = [f'"{name}"{colon}[{comma.join(values)}]' for name, values in texts.items()]
    document = f'{{"columns"{colon}{{{comma.join(columns)}}}}}'
    found = answers(query, document.encode(), Media.JSON, path)
    if all(value.replace(".", "").isdigit() for values in list(texts.values())[1:] for value in values):
        assert (found is not None) is (len(set(texts["customer_id"])) == n)


def test_a_document_with_a_name_twice() -> None:
    """The last one counts, as JSON libraries have it."""
    path = QuickPath(store(), Limits())
    document = orjson.dumps({"columns": customers(3).to_pydict()})
    twice = document.replace(b'"columns":{', b'"columns":{"monetary":[7.5,8.5,9.5],')
    for body in (document, twice, document, twice):
        assert answers("model=people", body, Media.JSON, path) is not None


def test_a_document_that_is_not_utf_8() -> None:
    path = QuickPath(store(), Limits())
    document = orjson.dumps({"columns": {**customers(3).to_pydict(), "customer_id": ["a", "b", "é"]}})
    assert answers("model=people", document, Media.JSON, path) is not None
    assert answers("model=people", document.replace("é".encode(), b"\xe9\xe9"), Media.JSON, path) is None
    assert answers("model=people", document.replace("é".encode(), b"\xed\xa0\x80"), Media.JSON, path) is None
