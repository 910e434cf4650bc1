"""Arrow schemas in and out: which types are let in, what the pipeline is told of them, what columns a reply has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import pyarrow as pa
from pyarrow import types as pt

from proto.classes import RFM
from proto.errors import ErrorCode, RequestError
from proto.limits import over
from proto.model import Model
from proto.options import OUTPUT_FIELDS
from proto.roles import (
    MAX_COLUMNS,
    TRANSACTION_FEATURES,
    Extra,
    Kind,
    Options,
    Roles,
    Wanted,
    assign,
)
from proto.wishes import NO_WISHES, Wished, Wishes, WishKind

__all__ = [
    "GROUP",
    "LABEL",
    "MODEL_KEY",
    "SUMMARY_KEY",
    "Plan",
    "Roles",
    "Wanted",
    "assign",
    "check_schema",
    "id_type_of",
    "output_schema",
    "plan_of",
    "resolve",
]

MODEL_KEY = b"segserve.model"
SUMMARY_KEY = b"segserve.summary"


class Plan(NamedTuple):
    """Roles with types: all that the pipeline needs to know of the input's schema. The first ten are `Roles`."""

    kind: Kind
    customer_id: str
    timestamp: str | None
    amount: str | None
    order_id: str | None
    features: tuple[str, ...]
    feature_names: tuple[str, ...]
    signs: tuple[int, ...]
    extras: tuple[Extra, ...]
    wished: tuple[Wished, ...]
    id_type: pa.DataType
    """As the reply has it: a dictionary's value type."""
    time_type: pa.DataType | None
    """Of `timestamp`, as it came."""
    amount_type: pa.DataType | None
    """Of `amount`, as it came."""


_FLAT = frozenset(
    t.id
    for t in (
        *(pa.null(), pa.bool_(), pa.float16(), pa.float32(), pa.float64(), pa.date32(), pa.date64()),
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.decimal32(1), pa.decimal64(1), pa.decimal128(1), pa.decimal256(1), pa.timestamp("us")),
        *(pa.time32("s"), pa.time64("us"), pa.duration("us")),
        *(pa.utf8(), pa.large_utf8(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view()),
        pa.binary(16),
    )
)
_TEXT = frozenset(t.id for t in (pa.utf8(), pa.large_utf8(), pa.string_view()))


def check_schema(schema: pa.Schema) -> None:
    """Refuses every type but flat ones and dictionaries of text, before any data is decoded.

    Ignored columns count too: their buffers reach the reader. RequestError(UNSUPPORTED_TYPE) names the column.
    """
    if len(schema) > MAX_COLUMNS:
        raise over("the number of columns", len(schema), MAX_COLUMNS, "Send only the columns that are needed.")
    for field in schema:
        kind = field.type
        if kind.id in _FLAT or (pt.is_dictionary(kind) and kind.value_type.id in _TEXT):
            continue
        raise RequestError(
            ErrorCode.UNSUPPORTED_TYPE,
            f"The column {field.name!r} has the type {str(kind)[:200]}; columns are flat numbers, times, text, or "
            "dictionaries of text. Leave it out or cast it.",
            column=field.name,
            found=str(kind)[:200],
            wanted="a flat type, or a dictionary of text",
        )


def _is_id(t: pa.DataType) -> bool:
    if pt.is_dictionary(t):
        t = t.value_type
    return pt.is_integer(t) or t.id in _TEXT or (pt.is_fixed_size_binary(t) and t.byte_width == 16)


def _is_time(t: pa.DataType) -> bool:
    return bool(pt.is_timestamp(t) or pt.is_date(t))


def _is_number(t: pa.DataType) -> bool:
    return bool(pt.is_integer(t) or pt.is_float32(t) or pt.is_float64(t) or pt.is_decimal128(t))


_ID = "an integer, text, a dictionary of text, or a 16-byte binary"
_TIME = "a timestamp or a date"
_NUMBER = "an integer, float32, float64 or decimal128"


def _is_flag(t: pa.DataType) -> bool:
    return bool(pt.is_boolean(t) or pt.is_integer(t))


def _is_label(t: pa.DataType) -> bool:
    return t.id in _TEXT or (pt.is_dictionary(t) and t.value_type.id in _TEXT)


_WISHED: dict[WishKind, tuple[Callable[[pa.DataType], bool], str]] = {
    "number": (_is_number, _NUMBER),
    "flag": (_is_flag, "true or false, or an integer that is 0 or 1"),
    "label": (_is_label, "text, or a dictionary of text"),
    "ordered": (_is_label, "text, or a dictionary of text"),
    "id": (_is_id, _ID),
    "time": (_is_time, _TIME),
}


def _typed(schema: pa.Schema, column: str, part: str, fits: Callable[[pa.DataType], bool], wanted: str) -> pa.DataType:
    kind = schema.field(column).type
    if fits(kind):
        return kind
    as_part = "" if column == part else f" (as {part})"
    raise RequestError(
        ErrorCode.WRONG_TYPE,
        f"The column {column!r}{as_part} has the type {kind}; {part} is {wanted}. Cast it, or map another column "
        f"with columns={part}:<your column>.",
        column=column,
        found=str(kind),
        wanted=wanted,
    )


def id_type_of(schema: pa.Schema, column: str, part: str) -> pa.DataType:
    """The type of a column of ids as the reply has it; RequestError(WRONG_TYPE) where it holds none."""
    id_type = _typed(schema, column, part, _is_id, _ID)
    if pt.is_dictionary(id_type):
        id_type = id_type.value_type
    return pa.utf8() if id_type.id == pa.string_view().id else id_type


def resolve(schema: pa.Schema, options: Options, model: Model | None = None, wishes: Wishes = NO_WISHES) -> Plan:
    """The plan for data of this schema: `assign`, then the type of each column that plays a part."""
    return plan_of(schema, assign(schema.names, options, model, wishes))


def plan_of(schema: pa.Schema, roles: Roles) -> Plan:
    """The roles with the types they have in `schema`; RequestError(WRONG_TYPE) says column, found and wanted."""
    id_type = id_type_of(schema, roles.customer_id, "customer_id")
    time_type = amount_type = None
    if roles.timestamp is not None:
        time_type = _typed(schema, roles.timestamp, "timestamp", _is_time, _TIME)
    if roles.amount is not None:
        amount_type = _typed(schema, roles.amount, "amount", _is_number, _NUMBER)
    if roles.order_id is not None:
        _typed(schema, roles.order_id, "order_id", _is_id, _ID)
    for name, column in zip(roles.feature_names, roles.features, strict=False):
        _typed(schema, column, name, _is_number, _NUMBER)
    for wished in roles.wished:
        _typed(schema, wished.column, wished.name, *_WISHED[wished.kind])
    return Plan(*roles, id_type, time_type, amount_type)


# ---- the reply ------------------------------------------------------------------------------------------------------

LABEL = pa.dictionary(pa.int16(), pa.utf8())
"""Classes: few texts, many customers."""

GROUP = pa.field("group", LABEL)
"""With partition_by: behind the id, whatever the `fields`; null without a group."""


def _monetary_type(plan: Plan, monetary: str) -> pa.DataType:
    kind = plan.amount_type
    if kind is None or monetary == "mean" or pt.is_floating(kind):
        return pa.float64()
    return pa.int64() if pt.is_integer(kind) else pa.decimal128(38, kind.scale)


def output_schema(
    plan: Plan, fields: Collection[str] | None = None, *, monetary: str = "sum", behind: Sequence[pa.Field] = ()
) -> pa.Schema:
    """The reply's columns, in a fixed order whatever the order in `fields`.

    `fields` None: all up to rfm_class. A customers table gives back those of its features that are RFM columns, as
    float64. rfm_class compares with the means of all three, so it is there only where all three are features. Asking
    by name for what is not there is refused. `explain` becomes one `x_<feature>` per feature, then `distance_own` and
    `distance_second`. `monetary` is the option (sum or mean), from the model when scoring; `behind` are
    columns that follow, whatever the `fields`.
    """
    table = plan.kind == "customers"
    types = {
        "customer_id": plan.id_type,
        "recency_days": pa.float64(),
        "frequency": pa.float64() if table else pa.int64(),
        "monetary": _monetary_type(plan, monetary),
        "value_score": pa.float64(),
        "value_percentile": pa.float64(),
        "segment_id": pa.int32(),
        "segment": LABEL,
        "rfm_class": LABEL,
        "tenure_days": pa.float64(),
        "first_at": plan.time_type,
        "last_at": plan.time_type,
        "explain": None,
    }
    absent = {*TRANSACTION_FEATURES, "first_at", "last_at"} - set(plan.feature_names) if table else set()
    if not set(RFM) <= set(plan.feature_names):
        absent.add("rfm_class")
    if fields is None:
        names = [name for name in OUTPUT_FIELDS[: OUTPUT_FIELDS.index("rfm_class") + 1] if name not in absent]
    else:
        names = [name for name in OUTPUT_FIELDS if name in fields]
        refused = next((name for name in names if name in absent), None)
        if refused is not None or not names:
            why = f"fields={refused} needs transactions: this customers table does not have it as a feature."
            if refused is None:
                why = f"fields= is empty; name some of {', '.join(OUTPUT_FIELDS)}, or leave the option out."
            elif refused == "rfm_class":
                why = f"fields=rfm_class needs {', '.join(RFM)} among the features."
            raise RequestError(
                ErrorCode.BAD_OPTION,
                why,
                option="fields",
                found=refused,
                wanted=[name for name in OUTPUT_FIELDS if name not in absent],
            )
    out = [pa.field(name, types[name]) for name in names if name != "explain"]
    if "explain" in names:
        x = [f"x_{name}" for name in plan.feature_names]
        out += [pa.field(name, pa.float64()) for name in (*x, "distance_own", "distance_second")]
    return pa.schema([*out, *behind])
