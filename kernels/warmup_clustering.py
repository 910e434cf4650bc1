"""Compile what fitting and scoring need, by using each public wrapper once on a few customers.

Every wrapper brings its inputs to one canonical kind, so one call compiles the only signature there is.
"""

import numpy as np

from kernels._jit import readonly
from kernels.kmeans import count_distinct, fit_kmeans
from kernels.percentiles import percentiles
from kernels.profiles import bin_counts, crosstab, segment_sums
from kernels.scaling import SCORE_PROBABILITIES, centre_and_spread, quantiles, signed_log
from kernels.scoring import Scoring, class_codes, explain, score, standardise, value_scores
from kernels.validity import silhouette


def warm() -> None:
    """Call every clustering and scoring kernel."""
    n_features, n, k = 2, 40, 3
    columns = readonly(np.arange(float(n_features * n)).reshape(n_features, n) % 7.0)
    ones = np.ones(n_features)
    for row in columns:
        centre_and_spread(signed_log(row, 1.0, True), "zscore")
    for weights in (None, np.ones(n)):
        fit = fit_kmeans(columns, k, n_init=1, sample_weights=weights)
        fit_kmeans(columns, k, init=fit.centroids, sample_weights=weights)
    count_distinct(columns, k)
    scoring = Scoring(ones, ones, ones > 0.0, ones, ones, ones / n_features, fit.centroids)
    scored = score(columns, scoring)
    value_scores(standardise(columns, scoring))
    standardise(columns, scoring, logs=np.ones((n_features, n)))
    explain(columns, scoring)
    percentiles(scored.scores, quantiles(scored.scores, SCORE_PROBABILITIES), SCORE_PROBABILITIES)
    class_codes(columns, ones, ones)
    segment_sums(columns, scored.scores, scored.segments, k)
    crosstab(scored.segments, fit.labels, k, k)
    bin_counts(scored.scores, np.array([0.0, 1.0]))
    silhouette(columns, fit.labels)
