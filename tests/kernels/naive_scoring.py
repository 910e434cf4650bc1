"""Pure-Python twins of kernels/scoring.py and kernels/nearest.py, customer by customer, obviously right."""

import math
from bisect import bisect_left, bisect_right


def square_distance(point, centroid):
    total = 0.0
    for x, c in zip(point, centroid, strict=True):
        total += (x - c) * (x - c)
    return total


def nearest(point, centroids):
    squares = [square_distance(point, centroid) for centroid in centroids]
    return squares.index(min(squares))


def standardise(row, scoring):
    found = []
    for j, v in enumerate(row):
        if scoring.clips[j] and v < 0:
            v = 0.0
        if scoring.log_factors[j]:
            v = math.copysign(math.log1p(scoring.log_factors[j] * abs(v)), v)
        spread = scoring.spreads[j]
        factor = scoring.signs[j] * scoring.weights[j] / spread if spread else 0.0
        found.append((v - scoring.centres[j]) * factor)
    return found


def percentile(score, quantiles, probabilities):
    first, after = bisect_left(quantiles, score), bisect_right(quantiles, score)
    if after > first:
        return (probabilities[first] + probabilities[after - 1]) / 2
    if first == 0:
        return probabilities[0]
    if first == len(quantiles):
        return probabilities[-1]
    low, high = quantiles[first - 1], quantiles[first]
    part = (score - low) / (high - low)
    return probabilities[first - 1] + part * (probabilities[first] - probabilities[first - 1])


def class_code(row, cuts, signs, varies):
    code = 0
    for j, v in enumerate(row):
        code = 2 * code + (varies[j] and signs[j] * v >= signs[j] * cuts[j])
    return code
