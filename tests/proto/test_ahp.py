"""Pairwise comparisons: published weights and ratios, the eigenvectors of numpy, and what is refused."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.ahp import RANDOM_INDEX, check_consistency, judged, matrix_of
from proto.errors import ErrorCode, RequestError

RFM = ["recency_days", "frequency", "monetary"]

# Saaty (1977): wealth of nations, and distances of cities from Philadelphia, with the eigenvectors printed there.
NATIONS = "1,4,9,6,6,5,5;1/4,1,7,5,5,3,4;1/9,1/7,1,1/5,1/5,1/7,1/5;1/6,1/5,5,1,1,1/3,1/3;1/6,1/5,5,1,1,1/3,1/3;"
NATIONS += "1/5,1/3,7,3,3,1,2;1/5,1/4,5,3,3,1/2,1"
CITIES = "1,1/3,8,3,3,7;3,1,9,3,3,9;1/8,1/9,1,1/6,1/5,2;1/3,1/3,6,1,1/3,6;1/3,1/3,5,3,1,6;1/7,1/9,1/2,1/6,1/6,1"


def test_the_preset_gives_the_published_weights() -> None:
    found = judged("telecom")
    assert np.round(found.weights, 3).tolist() == [0.221, 0.340, 0.439]
    assert 0 <= found.consistency_ratio < 0.01
    check_consistency("telecom", RFM)
    assert matrix_of("[[1, .71, .46], [1.41, 1, .85], [2.18, 1.18, 1]]") == matrix_of("telecom")


@pytest.mark.parametrize(
    ("text", "weights", "largest"),
    [
        (NATIONS, [0.427, 0.230, 0.021, 0.052, 0.052, 0.123, 0.094], 7.608),
        (CITIES, [0.263, 0.397, 0.033, 0.116, 0.164, 0.027], 6.45),
    ],
)
def test_examples_of_saaty(text: str, weights: list[float], largest: float) -> None:
    found = judged(text)
    n = len(weights)
    assert np.allclose(found.weights, weights, atol=2e-3), found.weights
    assert found.consistency_ratio == pytest.approx((largest - n) / (n - 1) / RANDOM_INDEX[n - 1], abs=2e-3)


@st.composite
def matrices(draw: st.DrawFn) -> list[list[Fraction]]:
    n = draw(st.integers(2, 10))
    rows = [[Fraction(1)] * n for _ in range(n)]
    for i in range(n):
        for j in range(i):
            rows[i][j] = draw(st.sampled_from([Fraction(k) for k in range(1, 10)])) ** draw(st.sampled_from([1, -1]))
            rows[j][i] = 1 / rows[i][j]
    return rows


@given(matrices())
def test_the_weights_are_the_principal_eigenvector(rows: list[list[Fraction]]) -> None:
    text = ";".join(",".join(map(str, row)) for row in rows)
    found = judged(text)
    values, vectors = np.linalg.eig(np.array(rows, np.float64))
    k = int(np.argmax(values.real))
    vector = np.abs(vectors[:, k].real)
    n = len(rows)
    assert np.allclose(found.weights, vector / vector.sum(), atol=1e-9)
    expected = 0.0 if n == 2 else (values[k].real - n) / (n - 1) / RANDOM_INDEX[n - 1]
    assert found.consistency_ratio == pytest.approx(max(0.0, expected), abs=1e-9)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=10))
def test_consistent_comparisons_give_back_their_ratios(sizes: list[int]) -> None:
    text = ";".join(",".join(f"{a}/{b}" for b in sizes) for a in sizes)
    found = judged(text)
    assert np.allclose(found.weights, np.array(sizes) / sum(sizes))
    assert found.consistency_ratio == pytest.approx(0.0, abs=1e-9)
    check_consistency(text, [f"f{i}" for i in range(len(sizes))])


def test_the_worst_pair_is_named() -> None:
    text = "1,2,1/9;1/2,1,2;9,1/2,1"
    matrix, found = np.array(matrix_of(text)), judged(text)
    w = found.weights
    apart = {(i, j): abs(np.log(matrix[i, j] * w[j] / w[i])) for i, j in ((0, 1), (0, 2), (1, 2))}
    worst = max(apart, key=apart.__getitem__)
    with pytest.raises(RequestError, match="contradicts itself") as caught:
        check_consistency(text, RFM)
    assert caught.value.code == ErrorCode.BAD_OPTION
    assert caught.value.facts["pair"] == [RFM[i] for i in worst]
    assert caught.value.facts["found"] > 0.1


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1", "2 to 10"),
        ("telcom", "preset"),
        (";".join(["1" + ",1" * 10] * 11), "2 to 10"),
        ("1,2;1/2", "row 2 has 1 numbers"),
        ("1,2;1/2,2", "with itself as 2"),
        ("1,2;2,1", "1 over the other"),
        ("1,0;0,1", "'0' is no ratio"),
        ("1,-3;-1/3,1", "'-3' is no ratio"),
        ("1,x;1,1", "'x' is no ratio"),
        ("1,1/0;1,1", "'1/0' is no ratio"),
        ("1,nan;1,1", "'nan' is no ratio"),
    ],
)
def test_what_is_no_matrix(text: str, wanted: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        matrix_of(text)
    assert wanted in str(caught.value)


def test_rounded_reciprocals_pass() -> None:
    assert matrix_of("1,.17;6,1") == [[1, 0.17], [6, 1]]
    with pytest.raises(ValueError, match="within 5%"):
        matrix_of("1,.1;9,1")


def test_other_features_are_refused() -> None:
    with pytest.raises(RequestError, match="compares 2 features, but there are 3") as caught:
        check_consistency("1,2;1/2,1", RFM)
    assert caught.value.code == ErrorCode.CONFLICTING_OPTIONS
