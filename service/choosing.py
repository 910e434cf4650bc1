"""`k=auto`: which number of segments separates a sample of the customers best, no segment being tiny."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from kernels.kmeans import KMeansFit, fit_kmeans
from kernels.validity import INDICES
from proto.model import KCandidate, KSearch, Notice
from proto.options import FitOptions, SegmentOptions
from service.threads import ThreadTeam

__all__ = ["LEAST_K", "MOST_K", "choose_k"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST_K, MOST_K = 4, 12
SAMPLE = 4096  # customers: the silhouette compares each with each
SMALLEST_SHARE = 0.01


def choose_k(
    points: Floats,
    sample: Ints,
    most: int,
    options: FitOptions | SegmentOptions,
    fit: Callable[[int], KMeansFit],
    notices: list[Notice],
    team: ThreadTeam,
    check: Callable[[], None],
) -> tuple[KSearch, KMeansFit]:
    """The search, and the fit on all customers with the k it chose, of at most `most` distinct points f64[d, n].

    Every k clusters and is judged on the first customers of `sample` (in hash order, so the order of rows does not
    matter). The best by the index, ties to the lower k, is fitted on everyone; where a segment then has less than 1 %,
    the next best is. A notice says so when none has enough.
    """
    rows = sample[:SAMPLE]
    points_of_sample = np.ascontiguousarray(points[:, rows])
    ks = list(range(min(LEAST_K, most), most + 1))
    candidates = [_candidate(points_of_sample, k, options, team, check) for k in ks]
    sense = -1.0 if options.k_by == "davies_bouldin" else 1.0
    ranked = sorted(
        candidates,
        key=lambda c: (c.smallest_share < SMALLEST_SHARE, c.score is None, -sense * (c.score or 0.0), c.k),
    )
    fits: dict[int, KMeansFit] = {}
    for candidate in ranked:
        found = fits[candidate.k] = fit(candidate.k)
        check()
        if found.sizes.min() >= SMALLEST_SHARE * points.shape[1]:
            break
    else:
        candidate = ranked[0]
        found = fits[candidate.k]
        share = float(found.sizes.min()) / points.shape[1]
        notices.append(
            Notice(
                code="small_segment",
                message=f"No number of segments from {ks[0]} to {ks[-1]} leaves at least 1 % of the customers in each; "
                f"with {candidate.k} the smallest has {share:.1%}.",
                facts={"k": candidate.k, "smallest_share": share},
            )
        )
    search = KSearch(by=options.k_by, customers=len(rows), candidates=candidates, k=candidate.k)
    return search, found


def _candidate(
    points: Floats, k: int, options: FitOptions | SegmentOptions, team: ThreadTeam, check: Callable[[], None]
) -> KCandidate:
    n = points.shape[1]
    if k > n:
        return KCandidate(k=k, score=None, smallest_share=0.0)
    order = np.arange(n, dtype=np.int64)
    found = fit_kmeans(points, k, seed=options.seed, n_init=options.n_init, sample=order, run=team.run, check=check)
    has_index = 2 <= np.count_nonzero(found.sizes) < n
    score = INDICES[options.k_by](points, found.labels, team.run) if has_index else None
    check()
    return KCandidate(k=k, score=score, smallest_share=float(found.sizes.min()) / n)
