"""Pure-Python twins of kernels/profiles.py, obviously right."""

import math


def segment_sums(rows, scores, segments, k):
    sizes, score_sums = [0] * k, [0.0] * k
    sums = [[0.0] * k for _ in rows[0]] if rows else []
    for row, score, c in zip(rows, scores, segments, strict=True):
        if c >= 0:
            sizes[c] += 1
            score_sums[c] += score
            for j, v in enumerate(row):
                sums[j][c] += v
    return sizes, sums, score_sums


def bin_counts(values, edges):
    counts = [0] * (len(edges) + 1)
    for v in values:
        if not math.isnan(v):
            counts[sum(edge <= v for edge in edges)] += 1
    return counts


def psi(expected, actual, floor=1e-4):
    e = [max(x / sum(expected), floor) for x in expected]
    a = [max(x / sum(actual), floor) for x in actual]
    return sum((y - x) * math.log(y / x) for x, y in zip(e, a, strict=True))
