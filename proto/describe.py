"""The parts of README.md that are made from the code: tables of options, errors, limits and classes, and dumps.

`python -m proto.describe` writes each between its markers; a test fails when one has drifted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import rfc8785

from proto.audience import AudienceOptions
from proto.classes import RFM, RFM_CLASSES, UNDIFFERENTIATED
from proto.errors import STATUS, TITLES, ErrorCode
from proto.hexdump import dump_messages
from proto.limits import Limits
from proto.options import FitOptions, ScoreOptions, SegmentOptions

__all__ = ["README", "described"]

README = Path(__file__).with_name("README.md")
GOLDEN = Path(__file__).with_name("golden")
_BLOCK = re.compile(r"(<!-- made by proto\.describe: (\w+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)
_FIXED = "Fixed by the model."


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; cells escape their own bars."""
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# Options


def _form(declared: dict[str, Any]) -> str:
    """How the value of an option is written."""
    if "format" in declared:
        return "`{}`".format(declared["format"].replace("|", "\\|"))
    kind = next(part for part in declared.get("anyOf", [declared]) if part.get("type") != "null")
    if "enum" in kind:
        return " \\| ".join(f"`{choice}`" for choice in kind["enum"])
    if kind["type"] == "boolean":
        return "`true` \\| `false`"
    if kind["type"] == "number":
        return "number"
    if kind["type"] == "integer" and "maximum" not in kind:
        return f"{kind['minimum']} …"
    if kind["type"] == "integer":
        return f"{kind['minimum']} … {kind['maximum']}"
    return "text"


def _default(value: Any) -> str:
    if value is None or value == {}:
        return ""
    return f"`{orjson.dumps(value).decode()}`" if isinstance(value, bool | int) else f"`{value}`"


def _audience() -> str:
    """The options that score does not have."""
    audience, score = AudienceOptions.model_json_schema()["properties"], ScoreOptions.model_fields
    rows = [
        (f"`{name}`", _form(declared), declared["description"].replace("|", "\\|"))
        for name, declared in audience.items()
        if name not in score
    ]
    return _table(("option", "value", "what it does"), rows)


def _options() -> str:
    segment, fit, score = (
        kind.model_json_schema()["properties"] for kind in (SegmentOptions, FitOptions, ScoreOptions)
    )
    rows = []
    for name in dict.fromkeys([*fit, *score, *segment]):
        declared = segment.get(name) or score[name]
        theirs = score.get(name)
        if theirs is None:
            where = "segment, fit" if name in fit else "segment"
        elif theirs["description"] == _FIXED:
            where = "segment, fit; score may repeat it"
        else:
            where = "all" if name in fit else "segment, score" if name in segment else "score"
        text = declared["description"]
        if theirs is not None and name in fit and theirs["description"] not in (_FIXED, text):
            text += f" For score: {theirs['description']}"
        text = text.replace("|", "\\|").replace("*", "\\*")
        rows.append((f"`{name}`", where, _form(declared), _default(declared.get("default")), text))
    return _table(("option", "endpoints", "value", "default", "what it does"), rows)


# Errors, limits, classes


def _errors() -> str:
    rows = [(f"`{code}`", str(STATUS.get(code, 422)), TITLES[code]) for code in ErrorCode]
    return _table(("code", "status", "title"), rows)


def _limits() -> str:
    meanings = {
        "max_body_bytes": "the body, after decompression",
        "max_message_bytes": "one Arrow message (record batch), one Parquet row group; after decompression",
        "max_metadata_bytes": "the metadata of one Arrow message, the footer of a Parquet file",
        "max_document_bytes": "a JSON body, one small gzip or zstd body; after decompression",
        "max_rows_per_batch": "rows in one record batch",
        "max_rows": "rows in one request",
        "max_customers": "customers in one request",
        "max_pairs": "distinct (customer, occasion) pairs beyond each customer's first; `occasion=row` needs none",
        "max_string_bytes": "text of distinct ids",
    }
    rows = [(f"`{name}`", f"{value:,}", meanings[name]) for name, value in Limits()._asdict().items()]
    return _table(("limit", "default", "of"), rows)


def _classes() -> str:
    marks = [tuple("high" if i & bit else "low" for bit in (4, 2, 1)) for i in range(8)]
    rows = [(*mark, f"`{name.code}`", name.en, name.zh) for mark, name in zip(marks, RFM_CLASSES, strict=True)]
    rows.reverse()
    rows.append(("–", "–", "–", f"`{UNDIFFERENTIATED.code}`", UNDIFFERENTIATED.en, UNDIFFERENTIATED.zh))
    return _table((*RFM, "code", "en", "zh"), rows)


# Bytes


def _fenced(text: str) -> str:
    return f"```text\n{text}```\n"


def _request() -> str:
    return _fenced(dump_messages((GOLDEN / "segment-arrow.request.arrows").read_bytes()))


def _reply() -> str:
    return _fenced(dump_messages((GOLDEN / "segment-arrow.reply.arrows").read_bytes(), last=2))


def _problem() -> str:
    body = orjson.loads((GOLDEN / "missing-column.reply.json").read_bytes())
    return f"```json\n{orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()}\n```\n"


def _model_id() -> str:
    model = orjson.loads((GOLDEN / "fit-arrow.reply.json").read_bytes())
    name = model.pop("id")
    canonical = rfc8785.dumps(model)
    digest = hashlib.sha256(canonical).hexdigest()
    assert digest == name
    start, end = canonical[:160].decode(), canonical[-60:].decode()
    return _fenced(f"{start} …\n… {end}\n\n{len(canonical):,} bytes\nSHA-256 {digest}\n")


_MAKERS: dict[str, Callable[[], str]] = {
    "options": _options,
    "audience": _audience,
    "errors": _errors,
    "limits": _limits,
    "classes": _classes,
    "request": _request,
    "reply": _reply,
    "problem": _problem,
    "model_id": _model_id,
}


def described(text: str) -> str:
    """`text` with every block between markers made anew; ValueError when a block has no markers."""
    found = {match[2] for match in _BLOCK.finditer(text)}
    if found != set(_MAKERS):
        raise ValueError(f"blocks without markers or makers: {sorted(found ^ set(_MAKERS))}")
    return _BLOCK.sub(lambda match: f"{match[1]}{_MAKERS[match[2]]()}{match[3]}", text)


if __name__ == "__main__":
    README.write_text(described(README.read_text()))
