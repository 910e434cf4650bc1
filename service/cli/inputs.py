"""Files → one stream of record batches: Parquet, CSV and Arrow, by suffix, several files or a folder.

Only the columns that play a part are read and sent. All files have those columns; where a column's type differs
between files, the wider type holds for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from proto.bundle import AnyModel, households_of, partition_of, shared_of
from proto.roles import Options, Roles, Wanted, assign
from proto.wishes import NO_WISHES, Wished
from service.cli.failures import UserError
from service.cli.formats import SUFFIXES, File, open_file, unreadable

__all__ = ["BATCH_ROWS", "Source", "find_files", "latest", "open_mapping", "open_source"]

BATCH_ROWS = 65_536
MEMBER = "customer_id"
APART = "The files do not fit together"


def _nobody(_: float) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Source:
    """All files as one table, which can be read again and again, batch by batch."""

    files: list[File]
    roles: Roles
    schema: pa.Schema
    n_bytes: int

    def batches(self, tell: Callable[[float], None] = _nobody) -> Iterator[pa.RecordBatch]:
        """Batches of at most 65 536 rows; `tell` hears how many bytes of the files are behind them."""
        before = 0
        for file in self.files:
            n_bytes = file.path.stat().st_size
            for batch, share in file.batches(self.schema.names):
                whole = _cast(batch, self.schema, file.path)
                for start in range(0, whole.num_rows, BATCH_ROWS):
                    yield whole.slice(start, BATCH_ROWS)
                tell(before + share * n_bytes)
            before += n_bytes

    def column(self, name: str) -> Iterator[pa.Array]:
        """One column, without reading the others where the format allows it."""
        kind = self.schema.field(name).type
        for file in self.files:
            for batch, _ in file.batches([name]):
                column = batch.column(batch.schema.get_field_index(name))
                yield column if column.type.equals(kind) else column.cast(kind)


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and those with a known suffix in the folders named, in order of their names."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and _is_data(p, path))
            if not inside:
                raise UserError("Nothing to read", f"The folder {path} has no file ending in {_known()}.")
            found += inside
        elif not path.exists():
            raise UserError("Nothing to read", f"There is no file or folder {path}.")
        elif path.suffix.lower() not in SUFFIXES:
            raise UserError("Nothing to read", f"{path}: the suffix says what a file is; it can be {_known()}.")
        else:
            found.append(path)
    return found


def _is_data(path: Path, folder: Path) -> bool:
    """Not hidden, and not what Spark leaves beside its files (`_SUCCESS`, `_temporary/`)."""
    return path.is_file() and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)


def _known() -> str:
    return ", ".join(SUFFIXES)


def open_source(paths: Sequence[Path], options: Options, model: AnyModel | None, *, mapped: bool = False) -> Source:
    """The files as one source; `model` is the one that scores them, if any: it says which features are needed.

    `mapped`: other files say the households, so that no column of these has to.
    """
    wanted = NO_WISHES
    if options.schemes or households_of(options, shared_of(model)) is not None:
        from service.rollup import wishes_for  # with the catalogue, and numpy and Numba behind it

        wanted = wishes_for(options, shared_of(model), mapped=mapped)
    partition = partition_of(options, model)
    if partition is not None:
        from service.grouping import with_group

        wanted = with_group(wanted, partition)
    return _joined(paths, lambda names, _: assign(names, options, shared_of(model), wanted))


def open_mapping(paths: Sequence[Path], column: str) -> Source:
    """The files that say which household each customer is in; `column` names the households there."""

    def roles_of(names: Sequence[str] | None, _: object) -> Roles:
        if not {MEMBER, column} <= set(names or ()):
            there = ", ".join(names or ()) or "none"
            raise UserError(
                "The mapping does not say households",
                f"--mapping needs the columns {MEMBER} and {column}; it has {there}.",
            )
        home = Wished(column, column, "id")
        return Roles("customers", MEMBER, None, None, None, (), (), (), (), (home,))

    return _joined(paths, roles_of)


def _joined(paths: Sequence[Path], wanted: Wanted) -> Source:
    found = find_files(paths)
    files = [open_file(path, wanted) for path in found]
    roles = wanted(files[0].schema.names, None)
    schemas = [_projected(file, roles.sources) for file in files]
    schema = schemas[0]
    if any(not other.equals(schema) for other in schemas[1:]):
        try:
            schema = pa.unify_schemas(schemas, promote_options="permissive")
        except pa.ArrowException as error:
            raise UserError(APART, f"A column has types that do not go together: {error}") from None
    return Source(files, roles, schema, sum(path.stat().st_size for path in found))


def _projected(file: File, names: Sequence[str]) -> pa.Schema:
    missing = [name for name in names if name not in file.schema.names]
    if missing:
        there = ", ".join(file.schema.names)
        raise UserError(APART, f"{file.path} has no column {', '.join(missing)}; it has {there}.")
    return pa.schema([file.schema.field(name).remove_metadata() for name in names])


def _cast(batch: pa.RecordBatch, schema: pa.Schema, path: Path) -> pa.RecordBatch:
    if batch.schema.names != schema.names:
        batch = batch.select(schema.names)
    if batch.schema.equals(schema):
        return batch
    try:
        return batch.cast(schema)
    except pa.ArrowException as error:
        raise UserError(APART, f"{path}: {error}") from None


def latest(source: Source, name: str) -> str | None:
    """The latest value of a time column as the option `as_of` takes it; None where there is none."""
    kind = source.schema.field(name).type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return None
    try:
        tops = [top for column in source.column(name) if (top := pc.max(column)).is_valid]
    except pa.ArrowException as error:
        raise unreadable(source.files[0].path, error) from None
    if not tops:
        return None
    top = max(tops, key=lambda scalar: scalar.value)
    if pa.types.is_date(kind):
        return str(top.as_py().isoformat())
    # To the microsecond, upwards: as_of must not leave out the row that it comes from.
    step = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    micros = -(-top.value * 10**6 // step)
    moment = pa.scalar(micros, pa.timestamp("us")).as_py()
    return f"{moment.isoformat()}Z"
