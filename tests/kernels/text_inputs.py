"""Texts of every kind that packing tells apart, and the arrays that hold them."""

import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from kernels.keys import ByteKeys

UUIDS = st.uuids(version=4).map(str)
DAMAGED = st.tuples(UUIDS, st.integers(0, 35), st.sampled_from("0189afgAF-/:@`\x00oG")).map(
    lambda drawn: drawn[0][: drawn[1]] + drawn[2] + drawn[0][drawn[1] + 1 :]
)
TEXTS = (
    st.text(max_size=40)
    | st.text("ab\0", min_size=0, max_size=17)
    | UUIDS
    | st.uuids().map(str)
    | DAMAGED
    | st.sampled_from([str(uuid.UUID(int=0)), str(uuid.UUID(int=2**128 - 1)), str(uuid.UUID(int=7)).upper()])
)


def arrays_of(texts: Sequence[str], dtype: Any, before: bytes = b"", after: bytes = b"") -> tuple[Any, Any]:
    """Return (data, offsets) of texts between other bytes."""
    raw = [text.encode() for text in texts]
    data = np.frombuffer(before + b"".join(raw) + after, dtype=np.uint8)
    return data, np.cumsum([len(before), *map(len, raw)]).astype(dtype)


def texts_in(keys: ByteKeys) -> list[str]:
    data = keys.data.tobytes()
    return [data[s : s + n].decode() for s, n in zip(keys.starts.tolist(), keys.lengths.tolist(), strict=True)]
