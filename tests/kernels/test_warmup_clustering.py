import subprocess
import sys

from tests.kernels.threads import needs_jit

COMPILED_ONCE = """
import numpy as np
from kernels._jit import KERNELS
from kernels.warmup_clustering import warm
warm()
for kernel in KERNELS:
    if kernel.signatures:
        kernel.disable_compile()
from kernels.kmeans import count_distinct, fit_kmeans
from kernels.profiles import bin_counts, crosstab, segment_sums
from kernels.scaling import SCORE_PROBABILITIES, centre_and_spread, median_nonzero_abs, quantiles, signed_log
from kernels.percentiles import percentiles
from kernels.scoring import Scoring, class_codes, explain, prepare, score, standardise
from kernels.validity import silhouette
columns = np.random.default_rng(0).lognormal(size=(3, 3000)).astype(np.float32)
frozen = np.ascontiguousarray(columns, dtype=float)
frozen.flags.writeable = False
for a in (columns, frozen, np.asfortranarray(frozen), frozen[:, ::2], frozen[:, :1]):
    for row in a:
        for scaler in ("zscore", "minmax", "robust", "none"):
            centre_and_spread(signed_log(row, 0.5, False), scaler)
        median_nonzero_abs(row)
    for weights in (None, np.ones(a.shape[1], dtype=np.float32)):
        k = min(8, a.shape[1])
        fit = fit_kmeans(a, k, n_init=2, sample=np.arange(a.shape[1]), sample_weights=weights)
        fit_kmeans(a, k, init=fit.centroids, sample_weights=weights)
    count_distinct(a, 8)
    ones = np.ones(3)
    for scoring in (Scoring(ones, ones, ones > 0, ones, ones, ones / 3, fit.centroids),):
        scored = score(a, scoring)
        standardise(a, prepare(scoring))
        explain(a, scoring)
    q = quantiles(scored.scores, SCORE_PROBABILITIES)
    percentiles(scored.scores, q, SCORE_PROBABILITIES)
    class_codes(a, ones, ones, ones > 0)
    segment_sums(a, scored.scores, scored.segments, k)
    crosstab(scored.segments, fit.labels, k, k)
    bin_counts(a[0], q)
    if k > 1:
        silhouette(a[:, :300], np.arange(300, dtype=np.int32) % 3)
"""


@needs_jit
def test_after_warming_up_nothing_is_compiled_again():
    subprocess.run([sys.executable, "-W", "error", "-c", COMPILED_ONCE], check=True, timeout=110)
