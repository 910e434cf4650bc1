"""Which column plays which part, from names alone, so that CSV and JSON know what to convert before types exist.

Errors say what came, what was wanted and which option helps.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from proto.classes import RFM
from proto.errors import ErrorCode, RequestError
from proto.limits import over
from proto.model import Model
from proto.option_values import ValueKind
from proto.options import INPUT_COLUMNS, FitOptions, ScoreOptions, SegmentOptions
from proto.where import column_kinds, columns_of, parse_where, source_of
from proto.wishes import NO_WISHES, Wish, Wished, Wishes

__all__ = [
    "MAX_COLUMNS",
    "TRANSACTION_FEATURES",
    "Extra",
    "Kind",
    "Options",
    "Roles",
    "ValueKind",
    "Wanted",
    "assign",
]

MAX_COLUMNS = 4096
TRANSACTION_FEATURES = (*RFM, "tenure_days")

Options = SegmentOptions | FitOptions | ScoreOptions
Kind = Literal["transactions", "customers"]


class Extra(NamedTuple):
    """A column that an option names, and what its values are."""

    column: str
    kind: ValueKind


class Roles(NamedTuple):
    """Which column of the sender plays which part; a part without a column is None."""

    kind: Kind
    customer_id: str
    timestamp: str | None
    amount: str | None
    order_id: str | None
    """None too where the occasion does not need it."""
    features: tuple[str, ...]
    """The source column of each feature of a customers table, in feature order; empty for transactions."""
    feature_names: tuple[str, ...]
    """The features' names without their sign, for both kinds."""
    signs: tuple[int, ...]
    """-1 where smaller is better."""
    extras: tuple[Extra, ...]
    """What options name besides, such as `where=`; may play a part above too."""
    wished: tuple[Wished, ...] = ()
    """What schemes read; may play a part above too."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns to read; everything else in the data is ignored."""
        beside = (*(extra.column for extra in self.extras), *(wished.column for wished in self.wished))
        return tuple(dict.fromkeys((*self._parts, *beside)))

    @property
    def _parts(self) -> tuple[str, ...]:
        named = (self.customer_id, self.timestamp, self.amount, self.order_id)
        return (*(name for name in named if name is not None), *self.features)

    def kind_of(self, column: str) -> ValueKind:
        """What the values of a source column are; the part it plays says so before any option does."""
        if column in (self.customer_id, self.order_id):
            return "id"
        if column == self.timestamp:
            return "time"
        if column == self.amount or column in self.features:
            return "number"
        for wished in self.wished:
            if wished.column == column:
                return "text" if wished.kind == "label" or wished.kind == "ordered" else wished.kind
        return next(extra.kind for extra in self.extras if extra.column == column)


Wanted = Callable[[Sequence[str] | None, Any], Roles]
"""(column names, inline model as found or None) → roles: what a reader asks once it knows the names.

None for the names: the data has no rows, and only rows have names.
"""


def assign(
    names: Sequence[str] | None, options: Options, model: Model | None = None, wishes: Wishes = NO_WISHES
) -> Roles:
    """The part each column plays, from the column names, the options and the model that scores them.

    With a model, its features and its occasion are what is looked for. `input=auto` takes the data as transactions
    where timestamp and amount are there. RequestError names the missing column and the option that maps it.
    `wishes`: the columns that are wanted beside the base's.
    """
    if names is None:
        names = _names_without_rows(options, model, wishes)
    if len(names) > MAX_COLUMNS:
        raise over("the number of columns", len(names), MAX_COLUMNS, "Send only the columns that are needed.")
    if model is not None:
        features: tuple[str, ...] | None = tuple(f.name if f.sign > 0 else f"-{f.name}" for f in model.features)
        occasion = model.aggregation.occasion if model.aggregation else None
    else:
        features = tuple(options.features) if options.features is not None else None
        occasion = options.occasion
    roles = _assign(
        tuple(names),
        tuple(options.columns.items()),
        options.input,
        model.input if model else None,
        features,
        occasion,
        wishes,
    )
    extras: tuple[Extra, ...] = ()
    for option, (column, kind) in options.named_columns().items():
        if column not in names:
            raise _unnamed(option, column, names)
        extras += (Extra(column, kind),)
    if options.where is not None:
        extras += _filtered(options.where, names, options.columns)
    return roles._replace(extras=extras) if extras else roles


def _unnamed(option: str, column: str, names: Sequence[str]) -> RequestError:
    near = difflib.get_close_matches(column[:100], names[:1000], 1)
    return RequestError(
        ErrorCode.MISSING_COLUMN,
        f"{option}={column[:100]} names a column that is not in the data"
        f"{f'; perhaps {near[0]!r} is meant' if near else ''}. The data has {_listed(names)}.",
        option=option,
        column=column,
        found=list(names[:50]),
        wanted=column,
    )


def _filtered(where: str, names: Sequence[str], mapping: dict[str, str]) -> tuple[Extra, ...]:
    """The columns that a filter reads."""
    expression = parse_where(where)
    kinds = column_kinds(expression)
    places = columns_of(expression)
    return tuple(Extra(source_of(name, places[name], names, mapping), kinds[name]) for name in places)


def _names_without_rows(options: Options, model: Model | None = None, wishes: Wishes = NO_WISHES) -> list[str]:
    """The columns that data without names is taken to have: those that such a request looks for."""
    features = [f.name for f in model.features] if model else [f.removeprefix("-") for f in options.features or ()]
    table = options.input == "customers" or (model is not None and model.input == "customers")
    if model is None and not set(features) <= set(TRANSACTION_FEATURES):
        table = True
    parts = ("customer_id", *(features or RFM)) if table else INPUT_COLUMNS
    parts += tuple(wish.name for wish in (wishes.table if table else wishes.rows))
    parts += tuple(name for names, _ in wishes.any_of for name in names)
    source = options.columns
    named = [column for column, _ in options.named_columns().values()]
    if options.where is not None:
        named += [source.get(name, name) for name in columns_of(parse_where(options.where))]
    return list(dict.fromkeys((*(source.get(part, part) for part in parts), *source.values(), *named)))


# Small requests repeat the same few schemas; 64 keys of at most MAX_COLUMNS names stay small.
@lru_cache(maxsize=64)
def _assign(
    names: tuple[str, ...],
    columns: tuple[tuple[str, str], ...],
    asked: Literal["auto", "transactions", "customers"],
    fitted_on: Kind | None,
    features: tuple[str, ...] | None,
    occasion: str | None,
    wishes: Wishes,
) -> Roles:
    known = frozenset(names)
    if len(known) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestError(
            ErrorCode.MALFORMED_BODY,
            f"The column {twice!r} is there {names.count(twice)} times; each name can be used once. "
            "Rename or leave out the others.",
            column=twice,
            found=names.count(twice),
            wanted=1,
        )
    bare = tuple(name.removeprefix("-") for name in features) if features is not None else RFM
    source = dict(columns)
    wished = {wish.name: None for wish in (*wishes.rows, *wishes.table)}
    _check_mapping(source, known, names, (*bare, *wished))

    parts = {name: source.get(name, name) for name in (*INPUT_COLUMNS, *bare)}
    rows_missing = [name for name in INPUT_COLUMNS[:3] if parts[name] not in known]
    table_missing = [name for name in ("customer_id", *bare) if parts[name] not in known]
    kind = _kind(asked, fitted_on, rows_missing, table_missing)
    if kind is None:
        raise _neither(names, rows_missing, table_missing, scores=fitted_on is not None)
    missing = rows_missing if kind == "transactions" else table_missing
    if missing:
        feature = missing[0] in bare
        if feature and fitted_on is not None:  # features= is no remedy: the model fixes it
            raise _missing(missing[0], names, kind, why="it is a feature of the model")
        raise _missing(missing[0], names, kind, feature=feature)

    signed = features if features is not None else bare
    signs = tuple(-1 if name in ("recency_days", "-recency_days") or name[0] == "-" else 1 for name in signed)
    if kind == "customers":
        roles = Roles(kind, parts["customer_id"], None, None, None, tuple(parts[n] for n in bare), bare, signs, ())
    else:
        strange = next((name for name in bare if name not in TRANSACTION_FEATURES), None)
        if strange is not None:
            raise RequestError(
                ErrorCode.BAD_OPTION,
                f"features={strange} cannot be computed from transactions, which give "
                f"{', '.join(TRANSACTION_FEATURES)}. For a table with one row per customer say input=customers.",
                option="features",
                found=strange,
                wanted=list(TRANSACTION_FEATURES),
            )
        order_id = parts["order_id"] if parts["order_id"] in known and occasion in (None, "order") else None
        if occasion == "order" and order_id is None:
            raise _missing("order_id", names, kind, why="occasion=order counts distinct order_id")
        time, amount = parts["timestamp"], parts["amount"]
        roles = Roles(kind, parts["customer_id"], time, amount, order_id, (), bare, signs, ())
    clash = next((name for name in roles._parts if roles._parts.count(name) > 1), None)
    if clash is not None:
        plays = [part for part, name in parts.items() if name == clash]
        raise RequestError(
            ErrorCode.CONFLICTING_OPTIONS,
            f"The column {clash!r} would be both {' and '.join(plays)}; map one of them to another column with "
            "columns=.",
            option="columns",
            column=clash,
            found=plays,
        )
    return roles if wishes is NO_WISHES else roles._replace(wished=_wished(wishes, roles, source, names))


def _wished(wishes: Wishes, roles: Roles, source: dict[str, str], names: tuple[str, ...]) -> tuple[Wished, ...]:
    """The columns that are wanted beside the base's and there; RequestError for those that are needed and are not."""
    known = frozenset(names)
    if roles.kind == "customers" and wishes.rows_only:
        raise RequestError(
            ErrorCode.CONFLICTING_OPTIONS, wishes.rows_only, option="schemes", found="customers", wanted="transactions"
        )
    found: dict[str, Wished] = {}
    missing: list[Wish] = []
    for wish in wishes.table if roles.kind == "customers" else wishes.rows:
        if wish.name.endswith("*"):
            begins = [name for name in names if name.startswith(wish.name[:-1])]
            found |= {name: Wished(name, name, wish.kind) for name in begins}
            continue
        column = source.get(wish.name, wish.name)
        if column in known:
            found[wish.name] = Wished(wish.name, column, wish.kind, wish.texts)
        elif wish.is_needed:
            missing.append(wish)
    if missing:
        name, *others = [wish.name for wish in missing]
        also = f"; {', '.join(map(repr, others))} missing as well" if others else ""
        raise _missing(name, names, roles.kind, why=f"{missing[0].why} needs it{also}", others=others)
    for group, why in wishes.any_of:
        if not any(fnmatch.fnmatchcase(name, wanted) for wanted in group for name in found):
            listed = " or ".join(group)
            raise _missing(group[0], names, roles.kind, why=f"{why} needs {listed}")
    return tuple(found.values())


def _check_mapping(
    source: dict[str, str], known: frozenset[str], names: tuple[str, ...], features: Sequence[str]
) -> None:
    allowed = dict.fromkeys((*INPUT_COLUMNS, *TRANSACTION_FEATURES, *features))
    for name, column in source.items():
        if name not in allowed:
            raise RequestError(
                ErrorCode.BAD_OPTION,
                f"columns={name}:{column} maps to {name!r}, which is no name of this service: write the service's "
                f"name first, then yours. The names are {', '.join(allowed)}.",
                option="columns",
                found=name,
                wanted=list(allowed),
            )
        if column not in known:
            near = difflib.get_close_matches(column, names, 1)
            raise RequestError(
                ErrorCode.MISSING_COLUMN,
                f"columns={name}:{column} names a column that is not in the data"
                f"{f'; perhaps {near[0]!r} is meant' if near else ''}. The data has {_listed(names)}.",
                option="columns",
                column=column,
                found=list(names[:50]),
                wanted=column,
            )


def _kind(
    asked: Literal["auto", "transactions", "customers"],
    fitted_on: Kind | None,
    rows_missing: list[str],
    table_missing: list[str],
) -> Kind | None:
    if fitted_on == "customers":
        if asked == "transactions":
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                "input=transactions contradicts the model, which was fitted on a customers table and does not say how "
                "transactions are aggregated. Send a customers table, or fit a model on transactions.",
                option="input",
                found="transactions",
                wanted="customers",
            )
        return "customers"
    if asked != "auto":
        return asked
    if "timestamp" not in rows_missing and "amount" not in rows_missing:
        return "transactions"
    return None if table_missing else "customers"


_USUAL = {
    "customer_id": ("customer", "client", "user", "household", "member", "buyer", "cust", "account", "客户", "会员"),
    "timestamp": ("date", "time", "created", "purchased", "ordered", "day", "日期", "时间"),
    "amount": ("sales", "amount", "total", "revenue", "value", "price", "paid", "sum", "金额"),
    "order_id": ("order", "basket", "invoice", "receipt", "transaction", "订单"),
}


def _guess(name: str, names: Sequence[str]) -> str | None:
    """The column that is likeliest meant by `name`, if one looks like it."""
    few = [column for column in names[:200] if column and len(column) <= 100]
    lowered = {column.lower(): column for column in reversed(few)}
    near = difflib.get_close_matches(name.lower(), lowered, 1, 0.7)
    if near:
        return lowered[near[0]]
    for word in _USUAL.get(name, ()):
        for column in few:
            if word in column.lower() and column not in INPUT_COLUMNS:
                return column
    return None


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:100]) for name in names[:20])
    if len(names) == 2 and names[0] == "customer_id":
        shown += f" (where that is a mapping ahead of the data, say rollup={names[1][:100]})"
    return (shown or "no columns") + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _remedy(missing: Sequence[str], names: Sequence[str]) -> str:
    guesses = [(name, _guess(name, names)) for name in missing]
    pairs = ",".join(f"{name}:{guess or '<your column>'}" for name, guess in guesses)
    return f"{'Perhaps' if any(guess for _, guess in guesses) else 'Say'} columns={pairs}."


def _missing(
    name: str, names: Sequence[str], kind: Kind, *, feature: bool = False, why: str = "", others: Sequence[str] = ()
) -> RequestError:
    what = why or (
        "transactions have customer_id, timestamp and amount"
        if kind == "transactions"
        else "it is a feature; customers tables need features=, unless recency_days, frequency and monetary are there"
        if feature
        else "a customers table has customer_id and its features"
    )
    return RequestError(
        ErrorCode.MISSING_COLUMN,
        f"There is no column {name!r} ({what}). The data has {_listed(names)}. {_remedy([name, *others], names)}",
        column=name,
        option="features" if feature else "columns",
        found=list(names[:50]),
        wanted=name,
    )


def _neither(names: Sequence[str], rows_missing: list[str], table_missing: list[str], *, scores: bool) -> RequestError:
    table = "For a table with one row per customer, name its numeric columns with features=."
    if scores:  # the model fixes features=
        table = f"A table with one row per customer needs every feature of the model. {_remedy(table_missing, names)}"
    return RequestError(
        ErrorCode.MISSING_COLUMN,
        f"The data is neither transactions (missing {', '.join(rows_missing)}) nor a customers table (missing "
        f"{', '.join(table_missing)}). It has {_listed(names)}. {_remedy(rows_missing, names)} {table}",
        column=rows_missing[0],
        option="columns",
        found=list(names[:50]),
        wanted=rows_missing,
    )
