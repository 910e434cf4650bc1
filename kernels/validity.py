"""How well separated segments are: three indices by which numbers of segments compare.

    silhouette          mean over i of (b - a) / max(a, b): a = mean distance to the own segment's others, b = the
                        smallest mean distance to another segment; 0 for a segment of one
    Calinski-Harabasz   (Σ_s n_s |c_s - c|² / (k - 1)) / (Σ_i |x_i - c_s(i)|² / (n - k))
    Davies-Bouldin      mean over s of max over t ≠ s of (d_s + d_t) / |c_s - c_t|, d_s = mean |x_i - c_s|; the less,
                        the better

Sources: Rousseeuw, J. Comput. Appl. Math. 20 (1987); Calinski and Harabasz, Comm. Stat. 3 (1974); Davies and Bouldin,
IEEE PAMI 1 (1979). Edge cases as in scikit-learn.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from kernels._jit import kernel, readonly
from kernels._run import Run, run_serially
from kernels._types import Floats, Ints, Labels

Index = Literal["silhouette", "calinski_harabasz", "davies_bouldin"]

PIECE = 256  # customers a thread compares with all others at a time


@kernel
def _silhouettes(rows: Floats, starts: Ints, first: int, stop: int, sums: Floats, out: Floats) -> None:
    """Write the silhouettes of customers first … stop to out f64[n].

    rows f64[n, d], ordered by segment; starts int64[k + 1]: where each segment begins; sums f64[k] is scratch.
    """
    n_features, k = rows.shape[1], len(starts) - 1
    for i in range(first, stop):
        own = 0
        for s in range(k):
            total = 0.0
            for j in range(starts[s], starts[s + 1]):
                square = 0.0
                for f in range(n_features):
                    square += (rows[i, f] - rows[j, f]) * (rows[i, f] - rows[j, f])
                total += np.sqrt(square)
            sums[s] = total
            if starts[s] <= i < starts[s + 1]:
                own = s
        size = starts[own + 1] - starts[own]
        if size == 1:
            out[i] = 0.0
            continue
        a, b = sums[own] / (size - 1), np.inf
        for s in range(k):
            if s != own and starts[s + 1] > starts[s]:
                b = min(b, sums[s] / (starts[s + 1] - starts[s]))
        larger = max(a, b)
        out[i] = (b - a) / larger if larger > 0.0 else 0.0


def _checked(points: Floats, labels: Labels) -> tuple[Floats, Ints]:
    """Return the points as rows f64[n, d] ordered by segment, and where segments begin; refuse fewer than two."""
    if points.shape[1] != len(labels):
        raise ValueError(f"labels: there are {len(labels)}, wanted one for each of {points.shape[1]} points")
    sizes = np.bincount(labels)
    if np.count_nonzero(sizes) < 2:
        raise ValueError("labels: all points are in one segment, wanted two or more segments with members")
    rows = np.ascontiguousarray(points.T[np.argsort(labels, kind="stable")], dtype=np.float64)
    return rows, np.concatenate([[0], np.cumsum(sizes[sizes > 0])]).astype(np.int64)


def silhouette(points: Floats, labels: Labels, run: Run = run_serially) -> float:
    """Return the mean silhouette of points f64[d, n] in segments labels int32[n], -1 … 1; O(n²)."""
    rows, starts = _checked(points, labels)
    rows, starts = readonly(rows), readonly(starts)
    n = len(rows)
    out = np.empty(n)

    def piece(first: int) -> None:
        _silhouettes(rows, starts, first, min(first + PIECE, n), np.empty(len(starts) - 1), out)

    run([partial(piece, first) for first in range(0, n, PIECE)])
    return float(np.mean(out))


def calinski_harabasz(points: Floats, labels: Labels, run: Run = run_serially) -> float:
    """Return variance between segments over variance within, each per degree of freedom; 1 where none is within."""
    rows, starts = _checked(points, labels)
    k, mean = len(starts) - 1, rows.mean(axis=0)
    between = within = 0.0
    for s in range(k):
        members = rows[starts[s] : starts[s + 1]]
        centroid = members.mean(axis=0)
        between += len(members) * float(np.sum((centroid - mean) ** 2))
        within += float(np.sum((members - centroid) ** 2))
    return 1.0 if within == 0.0 or len(rows) == k else between * (len(rows) - k) / (within * (k - 1))


def davies_bouldin(points: Floats, labels: Labels, run: Run = run_serially) -> float:
    """Return the mean likeness of each segment to the one most like it; less is better, 0 where points coincide."""
    rows, starts = _checked(points, labels)
    k = len(starts) - 1
    parts = [rows[starts[s] : starts[s + 1]] for s in range(k)]
    centroids = np.array([part.mean(axis=0) for part in parts])
    ways = [np.sqrt(np.sum((part - centre) ** 2, axis=1)) for part, centre in zip(parts, centroids, strict=True)]
    widths = np.array([way.mean() for way in ways])
    apart = np.sqrt(np.sum((centroids[:, None, :] - centroids[None, :, :]) ** 2, axis=2))
    if np.allclose(widths, 0) or np.allclose(apart, 0):
        return 0.0
    apart[apart == 0] = np.inf
    return float(np.mean(np.max((widths[:, None] + widths[None, :]) / apart, axis=1)))


INDICES: dict[Index, Callable[[Floats, Labels, Run], float]] = {
    "silhouette": silhouette,
    "calinski_harabasz": calinski_harabasz,
    "davies_bouldin": davies_bouldin,
}
