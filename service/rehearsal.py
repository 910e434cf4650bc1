"""A dress rehearsal: one tiny request of each kind, so that the first real one meets nothing for the first time.

Compiled kernels are not all: libraries load modules on first use (pyarrow looks for pandas: 0.3 s), and the zones of
the loaded models are walked through once.
"""

from __future__ import annotations

import orjson

from proto.bundle import shared_of
from proto.limits import Limits
from proto.media import Media
from proto.options import ScoreOptions, SegmentOptions, parse_options
from service.metrics import StageTimer
from service.models import ModelStore
from service.threads import ThreadTeam
from service.work import Work
from service.zones import zone_table

__all__ = ["rehearse"]

_BODY = {
    "columns": {
        "customer_id": ["a", "b", "a", "c"],
        "timestamp": ["2026-01-01T10:00:00Z", "2026-01-02T10:00:00Z", "2026-01-03T10:00:00Z", "2026-01-04T10:00:00Z"],
        "amount": [10.0, 20.0, 30.5, 5.0],
    }
}


def rehearse(models: ModelStore, team: ThreadTeam) -> None:
    """Segments and scores four rows, answering in every format, and prepares the zones of the models."""
    for _, known in models:
        shared = shared_of(known)
        if shared is not None and shared.aggregation is not None:
            zone_table(shared.aggregation.tz)
    segment = parse_options(SegmentOptions, [("k", "2"), ("as_of", "2026-01-31")])
    score = parse_options(ScoreOptions, [("as_of", "2026-01-31")])
    for media in (Media.ARROW, Media.JSON, Media.CSV):
        reply = _run(segment, _BODY, media, team)
        if media is Media.JSON:
            model = orjson.loads(reply)["model"]
            _run(score, {**_BODY, "model": model}, media, team)


def _run(options: SegmentOptions | ScoreOptions, body: object, media_out: Media, team: ThreadTeam) -> bytes:
    content = orjson.dumps(body)
    work = Work(
        options,
        Media.JSON,
        None,
        store=ModelStore({}),
        limits=Limits(),
        team=team,
        timer=StageTimer(),
        expected_bytes=len(content),
    )
    try:
        work.take_whole(content)
        return b"".join(work.reply(work.finish(), media_out))
    finally:
        work.close()
