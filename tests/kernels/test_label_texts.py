"""Columns of labels as text, against lists that are joined."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.label_texts import label_columns, prepare_labels

LABELS = st.lists(st.text(max_size=30).map(str.encode), min_size=1, max_size=9)


@settings(deadline=None)
@given(LABELS, LABELS, st.integers(1, 20), st.integers(0, 2**32))
def test_labels_stand_in_the_order_of_their_codes(
    segments: list[bytes], classes: list[bytes], n: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    half, quarter = (n + 1) // 2, (n + 3) // 4
    words = np.zeros(2 * n + half + 2 * quarter)
    numbers = words[2 * n : 2 * n + half].view(np.int32)[:n]
    codes = words[2 * n + half + quarter :].view(np.int16)[:n]
    numbers[:], codes[:] = random.integers(0, len(segments), n), random.integers(0, len(classes), n)
    found = label_columns(words, n, prepare_labels(segments, classes))
    assert [bytes(text) for text in found] == [
        b",".join(b"%d" % s for s in numbers),
        b",".join(segments[s] for s in numbers),
        b",".join(classes[c] for c in codes),
    ]
