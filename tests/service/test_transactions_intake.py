"""The text of distinct ids has a limit, whoever's ids they are and however they are held."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from proto.errors import ErrorCode, RequestError
from proto.limits import Limits
from proto.options import SegmentOptions, parse_options
from service.pipeline import Job
from service.threads import ThreadTeam

N = 100
SHORT = pa.array([str(i) for i in range(N)])
LONG = pa.array([f"{i:050d}" for i in range(N)])  # 5,000 bytes
SOLD = {"timestamp": pa.array(range(N), pa.timestamp("s")), "amount": pa.array([1.0] * N)}
VISITED = {"visits": pa.array([1.0] * N)}


@pytest.fixture
def team() -> Iterator[ThreadTeam]:
    team = ThreadTeam(2)
    yield team
    team.close()


def segment(columns: dict[str, pa.Array], max_string_bytes: int, team: ThreadTeam, **options: str) -> int:
    limits = Limits(max_string_bytes=max_string_bytes)
    job = Job(parse_options(SegmentOptions, [*options.items()]), None, limits=limits, team=team, now_ns=0)
    table = pa.table(columns)
    job.start(table.schema)
    for batch in table.to_batches(max_chunksize=30):
        job.add(batch)
    return job.finish().customers_out


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        ({"customer_id": LONG, **SOLD}, {"occasion": "row"}),
        ({"customer_id": LONG, **SOLD}, {"occasion": "time"}),
        ({"customer_id": LONG.dictionary_encode(), **SOLD}, {"occasion": "row"}),
        ({"customer_id": LONG.dictionary_encode(), **SOLD}, {"occasion": "day"}),
        ({"customer_id": SHORT, "order_id": LONG, **SOLD}, {}),
        ({"customer_id": LONG, **VISITED}, {"features": "visits"}),
    ],
    ids=["rows", "times", "dictionary, rows", "dictionary, days", "orders", "customers"],
)
def test_long_ids(columns: dict[str, pa.Array], options: dict[str, str], team: ThreadTeam) -> None:
    assert segment(columns, 10_000, team, **options) == N
    with pytest.raises(RequestError, match=r"max_string_bytes.*Send fewer or shorter ids") as caught:
        segment(columns, 4_000, team, **options)
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED
    assert caught.value.facts["limit"] == "max_string_bytes"
