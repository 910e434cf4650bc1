"""The summary's JSON, written into a text whose constant parts stand already.

`proto.summary` stays the contract: the text is made by dumping a `Summary` of it, whose figures are then cut out.
"""

from __future__ import annotations

from typing import Any

import orjson

from kernels.few_scores import FewScores
from proto.model import Model
from proto.summary import Counts, SegmentSummary, Summary
from service.quick.few import MAX_CUSTOMERS, Few
from service.scoring import too_few_for_drift

__all__ = ["SummaryText"]

_HOLE = "\x1a"
_CUT = orjson.dumps(_HOLE)


class SummaryText:
    """The summary of requests that are scored with one model and described by the same columns.

    ValueError for a model whose own texts look like a hole.
    """

    def __init__(self, model: Model, names: list[str], as_of: str | None) -> None:
        content = _summary(model, names, as_of).model_dump(mode="json")
        if as_of is not None:
            content["history_days"] = _HOLE
        for name in _COUNTED:
            content["counts"][name] = _HOLE
        for segment in content["segments"]:
            segment |= dict.fromkeys(("size", "share", "revenue_share", "value_score"), _HOLE)
            segment["means"] = dict.fromkeys(names, _HOLE)
        content["drift_skipped"] = too_few_for_drift(MAX_CUSTOMERS).replace(str(MAX_CUSTOMERS), _HOLE)
        fixed = orjson.dumps(content).replace(_CUT, _CUT[1:-1]).split(_CUT[1:-1])
        self._has_history = as_of is not None
        self._first = 2 * (len(_COUNTED) + self._has_history) + 1  # of the segments' figures
        self._step = len(names) + 4
        self._last = self._first + 2 * len(model.segments) * self._step
        self._pieces = [b""] * (2 * len(fixed) - 1)
        self._pieces[::2] = fixed
        if self._last + 2 != len(self._pieces):
            raise ValueError("a text of the model cannot be told from a hole")

    def of(self, few: Few, scores: FewScores) -> bytes:
        """The JSON of this request's summary."""
        n, rows = b"%d" % few.n, b"%d" % few.rows_in
        # One call writes all floats, NaN as null; the texts are then cut out of the list.
        figures = orjson.dumps(scores.figures.reshape(-1), option=_NUMPY)[1:-1].split(b",")
        sizes = orjson.dumps(scores.sizes, option=_NUMPY)[1:-1].split(b",")
        negative = sizes.pop()
        figures[:: self._step] = sizes
        pieces = self._pieces.copy()
        at = 1
        if self._has_history:
            pieces[1] = orjson.dumps(few.history_days)
            at = 3
        counts = rows, rows, b"%d" % few.refund_rows, b"%d" % few.zero_amount_rows, n, negative
        pieces[at : self._first : 2] = counts
        pieces[self._first : self._last : 2] = figures
        pieces[self._last] = n
        return b"".join(pieces)


_NUMPY = orjson.OPT_SERIALIZE_NUMPY
_COUNTED = (
    "rows_in",
    "rows_used",
    "refund_rows",
    "zero_amount_rows",
    "customers_out",
    "customers_with_negative_monetary",
)


def _summary(model: Model, names: list[str], as_of: str | None) -> Summary:
    """A summary with everything that does not depend on the customers."""
    segments: list[Any] = [
        SegmentSummary(
            id=s,
            code=segment.code,
            en=segment.en,
            zh=segment.zh,
            size=0,
            share=0.0,
            means=dict.fromkeys(names),
            revenue_share=None,
            value_score=None,
        )
        for s, segment in enumerate(model.segments)
    ]
    return Summary(
        model_id=model.id,
        as_of=as_of,
        history_days=None,
        counts=Counts(rows_in=0, rows_used=0, customers_out=0),
        segments=segments,
    )
