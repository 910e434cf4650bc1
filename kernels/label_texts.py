"""Columns of labels as text: each customer's segment number, segment and class, from texts made once.

    text = labels[codes[0]] + labels[codes[1]] + …     each label with its comma, padded to whole words

A list of strings takes a JSON library 70 ns a label with making the list; this takes 5.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel, readonly, row_kernel, store_u64
from kernels._types import Floats, Ints

__all__ = ["LabelTexts", "label_columns", "prepare_labels"]


class LabelTexts(NamedTuple):
    """Texts of the numbers of segments, then of the segments, then of the classes; `n_segments` of the first two.

    words uint64[m, w]: each label's bytes, padded with zeros; lengths int64[m] in bytes.
    """

    words: NDArray[np.uint64]
    lengths: Ints
    n_segments: int


def prepare_labels(segments: Sequence[bytes], classes: Sequence[bytes]) -> LabelTexts:
    """Bring the labels into one table; each is the text that is to stand in a list."""
    labels = [text + b"," for text in (*(b"%d" % s for s in range(len(segments))), *segments, *classes)]
    width = -(-max(map(len, labels)) // 8)
    words = np.frombuffer(b"".join(text.ljust(8 * width, b"\0") for text in labels), np.uint64).reshape(-1, width)
    return LabelTexts(words, readonly(np.array(list(map(len, labels)))), len(segments))


@row_kernel
def _put(words: NDArray[np.uint64], lengths: Ints, label: int, out: NDArray[np.uint8], at: int) -> int:
    """Write a label, and what pads it, to out[at:]; return where it ends."""
    length = int(lengths[label])
    for w in range((length + 7) >> 3):
        store_u64(out, at + 8 * w, words[label, w])
    return at + length


@kernel
def _label_columns(
    scored: Floats, n: int, words: NDArray[np.uint64], lengths: Ints, n_segments: int, out: NDArray[np.uint8]
) -> tuple[int, int, int]:
    """Write the three columns one after the other; return where each ends."""
    quarter = (n + 3) >> 2
    segments = scored[2 * n :].view(np.int32)
    classes = scored[len(scored) - quarter :].view(np.int16)
    at = 0
    for i in range(n):
        at = _put(words, lengths, segments[i], out, at)
    first = at
    for i in range(n):
        at = _put(words, lengths, n_segments + segments[i], out, at)
    second = at
    for i in range(n):
        at = _put(words, lengths, 2 * n_segments + classes[i], out, at)
    return first, second, at


def label_columns(scored: Floats, n: int, labels: LabelTexts) -> tuple[memoryview, memoryview, memoryview]:
    """Return the numbers of the segments, the segments and the classes of n ≥ 1 customers, with commas between them.

    scored: `few_scores.FewScores.words`.
    """
    out = np.empty((3 * n + 1) * 8 * labels.words.shape[1], dtype=np.uint8)
    first, second, third = _label_columns(scored, n, *labels, out)
    text = out.data
    return text[: first - 1], text[first : second - 1], text[second : third - 1]
