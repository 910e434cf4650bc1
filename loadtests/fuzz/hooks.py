"""Hooks of schemathesis: bodies of the media types that a JSON schema cannot describe, valid ones and damaged ones."""

from __future__ import annotations

import random

import schemathesis
from hypothesis import strategies as st

from loadtests.fuzz.arrow_mutators import mutated, stream_of
from loadtests.fuzz.havoc import havoc
from loadtests.fuzz.parquet_mutators import file_of
from loadtests.fuzz.seeds import people, shop

__all__: list[str] = []

_TABLES = [shop(), people()]
_STREAMS = [stream_of(table.schema, table.to_batches()) for table in _TABLES]
_FILES = [file_of(table) for table in _TABLES]
_SHEETS = [b"customer_id,timestamp,amount\n1,2026-01-02,3\n2,2026-01-03T10:00:00Z,4.5\n", b"customer_id,visits\n1,2\n"]


def _with_damage(valid: list[bytes]) -> st.SearchStrategy[bytes]:
    damaged = st.builds(
        lambda body, seed: havoc(random.Random(seed), body, valid), st.sampled_from(valid), st.integers()
    )
    return st.sampled_from(valid) | damaged


schemathesis.openapi.media_type(
    "application/vnd.apache.arrow.stream",
    _with_damage(_STREAMS)
    | st.builds(
        lambda body, seed: mutated(random.Random(seed), body, _STREAMS), st.sampled_from(_STREAMS), st.integers()
    ),
)
schemathesis.openapi.media_type("application/vnd.apache.parquet", _with_damage(_FILES))
schemathesis.openapi.media_type("text/csv", _with_damage(_SHEETS))
