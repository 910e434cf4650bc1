"""k=auto: the number of clouds that are there, none of them tiny, whatever the order of the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from kernels.kmeans import fit_kmeans
from proto.model import KSearch, Notice
from proto.options import SegmentOptions, parse_options
from service.choosing import SAMPLE, choose_k
from service.threads import ThreadTeam

INDICES = {
    "silhouette": metrics.silhouette_score,
    "calinski_harabasz": metrics.calinski_harabasz_score,
    "davies_bouldin": metrics.davies_bouldin_score,
}


def clouds(sizes: list[int], seed: int = 1) -> Any:
    random = np.random.default_rng(seed)
    angles = np.arange(len(sizes)) * 2 * np.pi / len(sizes)
    parts = [
        random.normal(0, 0.3, (2, n)) + 5 * np.array([[np.cos(a)], [np.sin(a)]])
        for n, a in zip(sizes, angles, strict=True)
    ]
    return np.ascontiguousarray(np.concatenate(parts, axis=1))


def search(points: Any, most: int = 12, sample: Any = None, **query: str) -> tuple[KSearch, list[Notice], int]:
    options = parse_options(SegmentOptions, {"k": "auto", "n_init": "4", **query}.items())
    notices: list[Notice] = []
    order = np.arange(points.shape[1]) if sample is None else sample
    team = ThreadTeam(1)
    try:
        found, fit = choose_k(
            points, order, most, options, lambda k: fit_kmeans(points, k), notices, team, lambda: None
        )
    finally:
        team.close()
    return found, notices, len(fit.centroids)


@pytest.mark.parametrize("index", INDICES)
def test_it_finds_the_clouds_by_every_index_as_scikit_learn_tells_them(index: str) -> None:
    points = clouds([60] * 6)
    found, notices, k = search(points, k_by=index)
    assert (found.k, k, notices) == (6, 6, [])
    assert [c.k for c in found.candidates] == list(range(4, 13))
    assert found.customers == 360
    labels = fit_kmeans(points, 6, n_init=4, sample=np.arange(360)).labels
    told = next(c for c in found.candidates if c.k == 6)
    assert told.score == pytest.approx(INDICES[index](points.T, labels))
    assert told.smallest_share == pytest.approx(60 / 360)


def test_a_number_that_leaves_a_tiny_segment_is_passed_over() -> None:
    points = clouds([200, 200, 200, 200, 5])
    found, notices, _ = search(points)
    five = next(c for c in found.candidates if c.k == 5)
    assert five.smallest_share < 0.01
    assert five.score == max(c.score for c in found.candidates if c.score is not None)
    assert found.k == 4
    assert notices == []


def test_the_whole_decides_where_the_sample_does_not_see_the_tiny_segment() -> None:
    rare = np.full((2, 30), 40.0) + np.random.default_rng(2).normal(0, 0.01, (2, 30))
    points = np.concatenate([clouds([1200] * 5), rare], axis=1)
    found, notices, _ = search(points, sample=np.arange(6030)[: SAMPLE + 1])
    assert found.customers == SAMPLE
    assert notices or found.k != 5


def test_when_no_number_will_do_it_says_so() -> None:
    points = np.concatenate([clouds([300] * 3), np.array([[90.0], [0.0]])], axis=1)
    found, notices, k = search(points, most=4)
    assert (found.k, k) == (4, 4)
    assert [notice.code for notice in notices] == ["small_segment"]
    assert "1 %" in notices[0].message


def test_few_distinct_points() -> None:
    points = np.array([[0.0, 1.0, 5.0, 0.0, 1.0, 5.0]])
    found, _, k = search(points, most=3)
    assert (found.k, k) == (3, 3)
    found, _, k = search(np.zeros((1, 5)), most=1)
    assert (found.k, k) == (1, 1)
    assert found.candidates[0].score is None
