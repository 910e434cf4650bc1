"""Weights from pairwise comparisons: the analytic hierarchy process.

a_ij says how many times as important feature i is as feature j. The weights are the principal eigenvector w of the
matrix, A·w = λ·w, normalised to sum 1; its consistency ratio CR = (λ − n)/(n − 1)/RI(n) compares it with random
judgements. Source: T. L. Saaty, "A scaling method for priorities in hierarchical structures", J. Math. Psychology 15
(1977), with the random index of "The Analytic Hierarchy Process" (1980).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from proto.errors import ErrorCode, RequestError

__all__ = ["MAX_CONSISTENCY_RATIO", "PRESETS", "Judged", "check_consistency", "judged", "matrix_of"]

Floats = npt.NDArray[np.float64]

RANDOM_INDEX = (0.0, 0.0, 0.58, 0.90, 1.12, 1.24, 1.32, 1.41, 1.45, 1.49)
"""Mean (λ − n)/(n − 1) of random reciprocal matrices of n = 1 … 10, as Saaty gives it."""
MAX_CONSISTENCY_RATIO = 0.1
RECIPROCAL_TOLERANCE = 0.05
"""How far a_ij·a_ji may be from 1: matrices are printed with two digits (1/6 as 0.17)."""
MOST, LEAST = 1e6, 1e-6
MAX_STEPS = 10_000
PRESETS = {"telecom": "1,.71,.46;1.41,1,.85;2.18,1.18,1"}
_NUMBER = re.compile(r"(\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(?:/(\d{1,12}(?:\.\d{0,12})?))?", re.ASCII)


class Judged(NamedTuple):
    """`weights` float64[n], summing to 1, and how consistent the comparisons are (0: entirely)."""

    weights: Floats
    consistency_ratio: float


def matrix_of(text: str) -> list[list[float]]:
    """The matrix in `1,1/3;3,1` (or `[[1,1/3],[3,1]]`, or the name of a preset); ValueError says what is wrong."""
    rows = re.sub(r"\]\s*,\s*\[", ";", PRESETS.get(text.strip(), text).strip()).strip("[] ").split(";")
    n = len(rows)
    if not 2 <= n <= len(RANDOM_INDEX):
        raise ValueError(
            f"there are {n} rows; write 2 to {len(RANDOM_INDEX)}, one per feature, as 1,1/3;3,1 (or a preset: "
            f"{', '.join(PRESETS)})"
        )
    matrix = [[_ratio(cell.strip()) for cell in row.split(",")] for row in rows]
    for i, row in enumerate(matrix):
        if len(row) != n:
            raise ValueError(f"row {i + 1} has {len(row)} numbers, and there are {n} rows")
        if row[i] != 1:
            raise ValueError(f"row {i + 1} compares its feature with itself as {row[i]:g}, not as 1")
    for i in range(n):
        for j in range(i):
            if abs(matrix[i][j] * matrix[j][i] - 1) > RECIPROCAL_TOLERANCE:
                raise ValueError(
                    f"row {i + 1}, column {j + 1} is {matrix[i][j]:g}, but row {j + 1}, column {i + 1} is "
                    f"{matrix[j][i]:g}: one must be 1 over the other, within {RECIPROCAL_TOLERANCE:.0%}"
                )
    return matrix


def _ratio(cell: str) -> float:
    match = _NUMBER.fullmatch(cell)
    below = float(match[2]) if match and match[2] else 1.0
    number = float(match[1]) / below if match and below else 0.0
    if not LEAST <= number <= MOST:
        raise ValueError(f"{cell!r} is no ratio; write how many times as important, such as 3 or 1/3")
    return number


@functools.lru_cache(maxsize=256)
def judged(text: str) -> Judged:
    """Weights and consistency ratio of a matrix that `matrix_of` takes.

    By power iteration: all entries are positive, so there is one largest eigenvalue and its vector is positive. Where
    rounding keeps a_ij·a_ji from 1, λ may lie below n; that counts as consistent.
    """
    matrix = np.array(matrix_of(text))
    n = len(matrix)
    weights = np.full(n, 1.0 / n)
    for _ in range(MAX_STEPS):
        image = matrix @ weights
        image /= image.sum()
        done = bool(np.max(np.abs(image - weights)) <= 1e-15)
        weights = image
        if done:
            break
    largest = float(np.mean(matrix @ weights / weights))
    index = RANDOM_INDEX[n - 1]
    ratio = max(0.0, (largest - n) / (n - 1) / index) if index else 0.0
    weights.flags.writeable = False
    return Judged(weights, ratio)


def check_consistency(text: str, features: Sequence[str]) -> None:
    """Refuses a matrix for other features, or one that contradicts itself; names the pair that does so the most."""
    matrix = np.array(matrix_of(text))
    if len(matrix) != len(features):
        raise RequestError(
            ErrorCode.CONFLICTING_OPTIONS,
            f"ahp= compares {len(matrix)} features, but there are {len(features)}: {', '.join(features)}. Write a row "
            "and a column for each, in this order.",
            option="ahp",
            found=len(matrix),
            wanted=list(features),
        )
    found = judged(text)
    if found.consistency_ratio <= MAX_CONSISTENCY_RATIO:
        return
    weights = found.weights
    apart = np.abs(np.log(matrix * weights[None, :] / weights[:, None]))
    i, j = (int(place) for place in np.unravel_index(int(np.argmax(np.triu(apart))), apart.shape))
    implied = weights[i] / weights[j]
    raise RequestError(
        ErrorCode.BAD_OPTION,
        f"ahp= contradicts itself: its consistency ratio is {found.consistency_ratio:.3f}, above "
        f"{MAX_CONSISTENCY_RATIO}. The pair furthest from the others is {features[i]} against {features[j]}: "
        f"{matrix[i, j]:.3g}, while the rest says {implied:.3g}. Compare these two again.",
        option="ahp",
        found=round(found.consistency_ratio, 6),
        wanted=MAX_CONSISTENCY_RATIO,
        pair=[features[i], features[j]],
    )
