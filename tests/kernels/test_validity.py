"""The indices against their naive twin and against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from kernels.validity import PIECE, calinski_harabasz, davies_bouldin, silhouette
from tests.kernels import naive_validity


@st.composite
def clustered(draw):
    n = draw(st.integers(3, 14))
    points = draw(st.lists(st.tuples(*[st.integers(-3, 3)] * 2), min_size=n, max_size=n))
    labels = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(lambda x: 2 <= len(set(x)) < len(x)))
    return np.array(points, float).T, np.array(labels, np.int32)


@settings(max_examples=80, deadline=None)
@given(clustered())
def test_they_are_what_they_are_defined_to_be(case):
    points, labels = case
    rows = points.T
    found = silhouette(points, labels)
    assert found == pytest.approx(naive_validity.silhouette([tuple(p) for p in rows], labels.tolist()), abs=1e-12)
    assert found == pytest.approx(metrics.silhouette_score(rows, labels), abs=1e-7)
    assert calinski_harabasz(points, labels) == pytest.approx(metrics.calinski_harabasz_score(rows, labels), rel=1e-9)
    assert davies_bouldin(points, labels) == pytest.approx(metrics.davies_bouldin_score(rows, labels), rel=1e-9)


def test_of_many_points_in_any_order_of_work():
    random = np.random.default_rng(3)
    n = 2 * PIECE + 7
    labels = random.integers(0, 5, n).astype(np.int32)
    points = random.normal(size=(3, n)) + labels
    found = silhouette(points, labels)
    assert found == pytest.approx(metrics.silhouette_score(points.T, labels), abs=1e-9)
    assert found == silhouette(points, labels, lambda tasks: [task() for task in reversed(tasks)] and None)
    assert calinski_harabasz(points, labels) == pytest.approx(metrics.calinski_harabasz_score(points.T, labels))
    assert davies_bouldin(points, labels) == pytest.approx(metrics.davies_bouldin_score(points.T, labels))


def test_a_segment_of_one_and_points_that_coincide():
    points = np.array([[0.0, 1.0, 5.0]])
    assert silhouette(points, np.array([0, 0, 1], np.int32)) == pytest.approx((4 / 5 + 3 / 4 + 0) / 3)
    alike = np.zeros((2, 4))
    labels = np.array([0, 0, 1, 1], np.int32)
    assert silhouette(alike, labels) == 0.0
    assert calinski_harabasz(alike, labels) == 1.0
    assert davies_bouldin(alike, labels) == 0.0


@pytest.mark.parametrize("index", [silhouette, calinski_harabasz, davies_bouldin])
def test_one_segment_has_no_index(index):
    with pytest.raises(ValueError, match="two or more"):
        index(np.zeros((2, 3)), np.ones(3, np.int32))
    with pytest.raises(ValueError, match="one for each of 3"):
        index(np.zeros((2, 3)), np.ones(2, np.int32))
