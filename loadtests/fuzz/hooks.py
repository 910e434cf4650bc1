"""Hooks of schemathesis: bodies of the media types that a JSON schema cannot describe, valid ones and damaged ones.

They are loaded in the environment of schemathesis, which has neither Arrow nor numpy: published.py writes the valid
bodies into the folder that SEGFUZZ_BODIES names.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import schemathesis
from hypothesis import strategies as st

from loadtests.fuzz.havoc import havoc

__all__: list[str] = []

_BODIES = Path(os.environ["SEGFUZZ_BODIES"])


def _of(form: str) -> st.SearchStrategy[bytes]:
    valid = [path.read_bytes() for path in sorted((_BODIES / form).iterdir())]
    damaged = st.builds(
        lambda body, seed: havoc(random.Random(seed), body, valid), st.sampled_from(valid), st.integers()
    )
    return st.sampled_from(valid) | damaged


schemathesis.openapi.media_type("application/vnd.apache.arrow.stream", _of("arrow"))
schemathesis.openapi.media_type("application/vnd.apache.parquet", _of("parquet"))
