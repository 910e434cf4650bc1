"""What holds for every scheme of the catalogue, now and later."""

from __future__ import annotations

import inspect
import re

import pyarrow as pa
import pytest

from proto.errors import ErrorCode, RequestError
from proto.model import dump_model, load_model
from service.schemes.catalogue import catalogue
from service.schemes.catalogue import told as catalogue_told
from service.schemes.scheme import UNKNOWN, Scheme, Text
from tests.data.jobs import reply_bytes, rows
from tests.service.schemes.shop import asked, columns_of, customers_table, request, told, transactions

SCHEMES = list(catalogue().values())
EACH = pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def _is_told(text: Text) -> bool:
    return bool(text.en.strip()) and CHINESE.search(text.zh) is not None


@EACH
def test_it_says_what_it_is_in_both_languages(scheme: Scheme) -> None:
    assert _is_told(scheme.title)
    assert _is_told(scheme.question)
    assert len(scheme.formula) > 20
    codes = [one.code for one in scheme.classes]
    assert len({*codes, UNKNOWN.code}) == len(codes) + 1
    for one in (*scheme.classes, UNKNOWN):
        assert CHINESE.search(one.zh)
        assert _is_told(one.action)
    for part in (*scheme.columns, *scheme.figures):
        assert _is_told(part.what)
    for parameter in scheme.parameters:
        assert _is_told(Text(parameter.en, parameter.zh))
        if parameter.default is not None:
            assert parameter.read(parameter.written(parameter.default)) == parameter.default
        if parameter.example:
            parameter.read(parameter.example)


@EACH
def test_one_customer_gets_the_same_alone_and_in_the_crowd(scheme: Scheme) -> None:
    table = transactions(scheme)
    fitted = request(table, asked(scheme))
    model = load_model(dump_model(fitted.model))
    crowd = told(request(table, scheme.name, model), scheme.name)
    assert crowd == told(fitted, scheme.name)
    for customer in ("c0", "c1", "c2", "c3", "c7", "c39"):
        alone = table.filter(pa.compute.equal(table["customer_id"], customer))
        assert told(request(alone, scheme.name, model), scheme.name) == {customer: crowd[customer]}


@EACH
def test_batches_and_threads_change_nothing(scheme: Scheme) -> None:
    table = transactions(scheme, seed=1)
    whole, cut = request(table, asked(scheme)), request(table, asked(scheme), threads=3, max_rows=17)
    assert reply_bytes(cut) == reply_bytes(whole)
    assert cut.summary == whole.summary
    assert dump_model(cut.model) == dump_model(whole.model)


@EACH
@pytest.mark.parametrize("kind", [pa.int64(), pa.decimal128(12, 2), pa.float32()], ids=str)
def test_amounts_of_every_kind(scheme: Scheme, kind: pa.DataType) -> None:
    table = transactions(scheme, seed=2)
    whole = pa.compute.round(table["amount"]).cast(kind)
    i = table.column_names.index("amount")
    same = table.set_column(i, "amount", pa.compute.round(table["amount"]))
    found = request(table.set_column(i, "amount", whole), asked(scheme), occasion="row")
    classes = [row.get("class") for row in told(found, scheme.name).values()]
    assert classes == [
        row.get("class") for row in told(request(same, asked(scheme), occasion="row"), scheme.name).values()
    ]


@EACH
def test_the_summary_counts_every_customer_and_echoes_the_parameters(scheme: Scheme) -> None:
    outcome = request(transactions(scheme), asked(scheme), lang="zh")
    assert outcome.summary.schemes is not None
    summary = outcome.summary.schemes[scheme.name]
    assert set(summary.parameters) == {parameter.name for parameter in scheme.parameters}
    if scheme.classes:
        assert sum(one.customers for one in summary.classes) == outcome.customers_out
        assert summary.classes[-1].code == UNKNOWN.code
        assert summary.classes[-1].customers == summary.unknown
        labels = [row["class"] for row in told(outcome, scheme.name).values()]
        for one in summary.classes:
            assert labels.count(one.zh) >= one.customers
    assert outcome.model.schemes is not None
    assert outcome.model.schemes[scheme.name].parameters == summary.parameters


@EACH
def test_reply_columns_are_those_of_the_catalogue(scheme: Scheme) -> None:
    listed = next(entry for entry in catalogue_told() if entry["name"] == scheme.name)
    known = {column["name"] for column in listed["output_columns"]}
    base = set(rows(request(transactions(scheme), asked(scheme))).column_names)
    plain = {name for name in base if name == scheme.name or name.startswith(f"{scheme.name}_")}
    assert plain <= known
    assert plain
    chosen = request(transactions(scheme), asked(scheme), fields="customer_id")
    assert set(rows(chosen).column_names) == {"customer_id", *plain}


@EACH
def test_what_it_needs_is_named_where_it_is_missing(scheme: Scheme) -> None:
    table = transactions(scheme)
    needed = [column.name for column in scheme.columns if column.is_needed and not column.name.endswith("*")]
    for name in needed:
        with pytest.raises(RequestError, match=name) as refused:
            request(table.drop_columns(name), asked(scheme))
        assert refused.value.code == ErrorCode.MISSING_COLUMN
        assert scheme.name in refused.value.detail
    if scheme.any_of:
        with pytest.raises(RequestError, match=scheme.name) as refused:
            request(table.drop_columns(list(columns_of(scheme))), asked(scheme))
        assert refused.value.code == ErrorCode.MISSING_COLUMN


@EACH
def test_a_table_of_customers_will_do_or_is_refused(scheme: Scheme) -> None:
    table = customers_table(scheme)
    if scheme.table is None:
        with pytest.raises(RequestError, match="transactions") as refused:
            request(table, asked(scheme), input="customers")
        assert scheme.name in refused.value.detail
        return
    fitted = request(table, asked(scheme), input="customers")
    crowd = told(fitted, scheme.name)
    alone = request(table.slice(3, 1), scheme.name, fitted.model)
    assert told(alone, scheme.name) == {"c3": crowd["c3"]}
    for name in scheme.table:
        if name not in ("recency_days", "frequency", "monetary"):
            with pytest.raises(RequestError, match=name):
                request(table.drop_columns(name), asked(scheme), input="customers")


@EACH
def test_windows_need_an_as_of(scheme: Scheme) -> None:
    if scheme.looks_back_days is None:
        request(transactions(scheme), asked(scheme), as_of="max")
        return
    with pytest.raises(RequestError, match="explicit as_of"):
        request(transactions(scheme), asked(scheme), as_of="max")
    with pytest.raises(RequestError, match="looks back"):
        request(transactions(scheme), asked(scheme), window="2d")


@EACH
def test_a_day_that_nobody_bought_anything(scheme: Scheme) -> None:
    """Refunds only, one row only: there is an answer, and no warning of numpy's."""
    table = transactions(scheme)
    alone = table.slice(0, 1)
    if pa.compute.all(pa.compute.greater(alone["amount"], 0)).as_py():
        assert len(told(request(alone, asked(scheme)), scheme.name)) == 1
    model = request(table, asked(scheme)).model
    nobody = request(table.slice(0, 0), scheme.name, model)
    assert told(nobody, scheme.name) == {}


@EACH
def test_it_lives_in_one_file_with_a_test_of_its_own(scheme: Scheme) -> None:
    assert inspect.getsourcefile(scheme.classify) is not None
    __import__(f"tests.service.schemes.test_{scheme.name}")
