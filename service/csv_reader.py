"""CSV → record batches: ids stay text, amounts become float64, times are RFC 3339."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.csv

from proto.csv_framing import CsvFramer
from proto.errors import ErrorCode, RequestError
from proto.framing import Frame
from proto.limits import Limits
from proto.media import Shape
from proto.roles import Roles, ValueKind
from proto.schemas import Wanted
from service.text_values import TimeForm, flags, numbers, time_form, time_type, times

__all__ = ["CsvReader"]

_PARSE = pyarrow.csv.ParseOptions(newlines_in_values=True)
_BOM = b"\xef\xbb\xbf"
_WRONG = (
    ((b"\xff\xfe", b"\xfe\xff"), "It is UTF-16; save it as CSV UTF-8."),
    ((b"PK\x03\x04",), "It is a zip archive or an Excel sheet; save it as CSV UTF-8."),
    ((b"PAR1",), "It is Parquet; send it with Content-Type: application/vnd.apache.parquet."),
    ((b"ARROW1", b"\xff\xff\xff\xff"), "It is Arrow; send it with Content-Type: application/vnd.apache.arrow.stream."),
    ((b"\x1f\x8b",), "It is gzip; say so with Content-Encoding: gzip."),
    ((b"\x28\xb5\x2f\xfd",), "It is zstd; say so with Content-Encoding: zstd."),
    ((b"{", b"["), "It is JSON; send it with Content-Type: application/json."),
)


def _malformed(what: str, **facts: Any) -> RequestError:
    return RequestError(ErrorCode.MALFORMED_BODY, what, **facts)


def _header(piece: bytes) -> tuple[list[str], bytes]:
    """(column names, the rest) of the first piece."""
    for starts, remedy in _WRONG:
        if piece.startswith(starts):
            raise _malformed(f"The body is not CSV. {remedy}", found=repr(piece[:8]), wanted="CSV")
    piece = piece.removeprefix(_BOM).lstrip(b"\r\n")
    end = piece.find(b"\n")
    while end >= 0 and piece.count(b'"', 0, end) % 2:
        end = piece.find(b"\n", end + 1)
    line, rest = (piece, b"") if end < 0 else (piece[:end], piece[end + 1 :])
    try:
        names = next(csv.reader(io.StringIO(line.decode(), newline=""), strict=True), [])
    except UnicodeDecodeError:
        raise _malformed("The CSV is not UTF-8; save it as CSV UTF-8.") from None
    except csv.Error as error:
        raise _malformed(f"The CSV header cannot be read: {error}.") from None
    names = [name.strip() for name in names]
    if not names:
        raise _malformed("The CSV has no header; its first line names the columns: customer_id,timestamp,amount.")
    if len(names) == 1:
        other = next((mark for mark in (";", "\t", "|") if mark in names[0]), None)
        if other is not None:
            raise _malformed(
                f"The CSV header has no comma but {names[0].count(other)} of {other!r}: fields are separated by "
                "commas, and numbers have a decimal point. Save it again like that.",
                found=other,
                wanted=",",
            )
    return names, rest


class CsvReader:
    """A Reader of CSV. `row` in its errors counts from 1, without the header."""

    def __init__(self, wanted: Wanted, limits: Limits) -> None:
        self.schema: pa.Schema | None = None
        self.model: bytes | dict[str, Any] | None = None
        self.shape: Shape = "rows"
        self._wanted = wanted
        self._framer = CsvFramer(limits)
        self._names: list[str] = []
        self._roles: Roles | None = None
        self._forms: dict[str, TimeForm | None] = {}
        self._options: Any = None
        self._n_rows = 0

    def feed(self, chunk: bytes | memoryview) -> list[Frame]:
        return self._framer.feed(chunk)

    def finish(self) -> list[Frame]:
        return self._framer.finish()

    def decode(self, piece: Frame) -> Iterator[pa.RecordBatch]:
        data: bytes = piece.data
        if self._roles is None:
            self._names, data = _header(data)
            self._roles = self._wanted(self._names, None)
            self._options = pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(self._roles.sources, pa.utf8()),
                include_columns=list(self._roles.sources),
                null_values=[""],
                strings_can_be_null=True,
            )
        if not data.strip():
            self._set_schema()
            return
        for texts in self._parsed(data).to_batches():
            yield self._converted(texts, self._roles)
            self._n_rows += texts.num_rows

    def _parsed(self, data: bytes) -> pa.Table:
        """The columns that play a part, as text."""
        read = pyarrow.csv.ReadOptions(column_names=self._names, use_threads=False, block_size=len(data) + 1)
        try:
            return pyarrow.csv.read_csv(io.BytesIO(data), read, _PARSE, self._options)
        except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
            raise self._unreadable(str(error)) from None

    def _unreadable(self, what: str) -> RequestError:
        match = re.search(r"Row #(\d+): (Expected \d+ columns, got \d+)", what)
        if match is None:
            if "UTF" in what:
                return _malformed("The CSV has letters that are not UTF-8; save it as CSV UTF-8.")
            return _malformed(
                f"The CSV cannot be read: {what.splitlines()[0][:200]}. A quote inside a field must be doubled, the "
                "field quoted."
            )
        row = self._n_rows + int(match[1])
        return _malformed(
            f"Row {row:,} does not fit the header: {match[2][0].lower()}{match[2][1:]}. Put fields with a comma "
            "in them into quotes.",
            row=row,
        )

    def _converted(self, texts: pa.RecordBatch, roles: Roles) -> pa.RecordBatch:
        columns = {}
        for name in roles.sources:
            column = texts.column(name)
            kind = roles.kind_of(name)
            if kind == "time":
                if self.schema is None:
                    self._forms[name] = time_form(column) if column.null_count < len(column) else "zoned"
                columns[name] = times(column, self._forms[name], name, self._n_rows + 1)
            elif kind == "number":
                columns[name] = numbers(column, name, self._n_rows + 1)
            elif kind == "flag":
                columns[name] = flags(column, name, self._n_rows + 1)
            else:
                columns[name] = column
        self._set_schema()
        return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))

    def _set_schema(self) -> None:
        if self.schema is not None or self._roles is None:
            return
        types = {name: self._type_of(self._roles.kind_of(name), name) for name in self._roles.sources}
        self.schema = pa.schema([(name, types.get(name, pa.null())) for name in self._names])

    def _type_of(self, kind: ValueKind, name: str) -> pa.DataType:
        if kind == "time":
            return time_type(self._forms.get(name))
        return {"number": pa.float64(), "flag": pa.bool_()}.get(kind, pa.utf8())

    def close(self) -> None:
        pass
