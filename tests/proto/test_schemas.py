import pyarrow as pa
import pytest

from proto.errors import ErrorCode, RequestError
from proto.options import SegmentOptions
from proto.schemas import check_schema, output_schema, resolve


def rows(**types: pa.DataType) -> pa.Schema:
    usual = {"customer_id": pa.utf8(), "timestamp": pa.timestamp("us"), "amount": pa.float64()}
    return pa.schema(list((usual | types).items()))


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.int8()),
        pa.struct([("a", pa.int8())]),
        pa.map_(pa.utf8(), pa.int8()),
        pa.dense_union([pa.field("a", pa.int8())]),
        pa.run_end_encoded(pa.int32(), pa.utf8()),
        pa.list_view(pa.int8()),
        pa.uuid(),
        pa.dictionary(pa.int8(), pa.int64()),
        pa.dictionary(pa.int8(), pa.binary()),
        pa.month_day_nano_interval(),
    ],
    ids=str,
)
def test_other_types_are_refused_by_column(kind: pa.DataType) -> None:
    with pytest.raises(RequestError, match="'odd'") as caught:
        check_schema(pa.schema([("customer_id", pa.utf8()), ("odd", kind)]))
    assert caught.value.code is ErrorCode.UNSUPPORTED_TYPE
    assert caught.value.facts["column"] == "odd"


def test_flat_types_may_be_ignored() -> None:
    kinds = [
        *(pa.null(), pa.bool_(), pa.float16(), pa.decimal256(40), pa.time32("s"), pa.time64("ns"), pa.duration("s")),
        *(pa.string_view(), pa.binary(), pa.large_binary(), pa.binary(3), pa.dictionary(pa.uint8(), pa.large_utf8())),
    ]
    check_schema(pa.schema([(str(i), kind) for i, kind in enumerate(kinds)]))


@pytest.mark.parametrize(
    ("came", "replied"),
    [
        (pa.int8(), pa.int8()),
        (pa.uint64(), pa.uint64()),
        (pa.large_utf8(), pa.large_utf8()),
        (pa.string_view(), pa.utf8()),
        (pa.binary(16), pa.binary(16)),
        (pa.dictionary(pa.int8(), pa.large_utf8()), pa.large_utf8()),
        (pa.dictionary(pa.int8(), pa.string_view()), pa.utf8()),
    ],
    ids=str,
)
def test_ids_are_replied_as_they_came(came: pa.DataType, replied: pa.DataType) -> None:
    plan = resolve(rows(customer_id=came), SegmentOptions())
    assert plan.id_type == replied
    assert output_schema(plan).field("customer_id").type == replied


@pytest.mark.parametrize(
    ("schema", "column"),
    [
        (rows(customer_id=pa.float64()), "customer_id"),
        (rows(customer_id=pa.binary(8)), "customer_id"),
        (rows(timestamp=pa.utf8()), "timestamp"),
        (rows(timestamp=pa.int64()), "timestamp"),
        (rows(amount=pa.utf8()), "amount"),
        (rows(amount=pa.bool_()), "amount"),
        (rows(amount=pa.decimal256(50)), "amount"),
    ],
)
def test_wrong_types_say_found_and_wanted(schema: pa.Schema, column: str) -> None:
    with pytest.raises(RequestError) as caught:
        resolve(schema, SegmentOptions())
    assert caught.value.code is ErrorCode.WRONG_TYPE
    assert caught.value.facts["column"] == column
    assert caught.value.facts["found"] == str(schema.field(column).type)


@pytest.mark.parametrize(
    ("amount", "monetary"),
    [(pa.float32(), pa.float64()), (pa.int16(), pa.int64()), (pa.decimal128(9, 2), pa.decimal128(38, 2))],
    ids=str,
)
def test_monetary_is_as_exact_as_the_amounts(amount: pa.DataType, monetary: pa.DataType) -> None:
    plan = resolve(rows(amount=amount), SegmentOptions())
    assert output_schema(plan).field("monetary").type == monetary
    assert output_schema(plan, monetary="mean").field("monetary").type == pa.float64()


def test_output_columns() -> None:
    plan = resolve(rows(timestamp=pa.date32()), SegmentOptions())
    assert output_schema(plan).names == [
        *("customer_id", "recency_days", "frequency", "monetary", "value_score", "value_percentile"),
        *("segment_id", "segment", "rfm_class"),
    ]
    chosen = output_schema(plan, ["explain", "first_at", "customer_id"])
    assert chosen.names == [
        *("customer_id", "first_at", "x_recency_days", "x_frequency", "x_monetary", "distance_own", "distance_second")
    ]
    assert chosen.field("first_at").type == pa.date32()
    with pytest.raises(RequestError, match="empty"):
        output_schema(plan, [])


def test_customers_tables_give_back_rfm_features_only() -> None:
    schema = pa.schema([("customer_id", pa.int64()), ("monetary", pa.int64()), ("visits", pa.int32())])
    plan = resolve(schema, SegmentOptions.model_validate({"features": "monetary,visits"}))
    assert output_schema(plan).names[:3] == ["customer_id", "monetary", "value_score"]
    with pytest.raises(RequestError, match="first_at"):
        output_schema(plan, ["first_at"])


def test_rfm_class_needs_all_three_as_features() -> None:
    plan = resolve(rows(), SegmentOptions.model_validate({"features": "frequency,monetary"}))
    assert output_schema(plan).names[-2:] == ["segment_id", "segment"]
    with pytest.raises(RequestError, match=r"needs recency_days, frequency, monetary") as caught:
        output_schema(plan, ["customer_id", "rfm_class"])
    assert "rfm_class" not in caught.value.facts["wanted"]
    more = resolve(rows(), SegmentOptions.model_validate({"features": "monetary,tenure_days,frequency,recency_days"}))
    assert output_schema(more).names[-1] == "rfm_class"
