"""Silhouette, point by point, as its definition reads."""

import math


def silhouette(points, labels):
    """Mean of (b - a) / max(a, b) over points (a list of tuples)."""
    total = 0.0
    for i, point in enumerate(points):
        means = {}
        for label in set(labels):
            others = [math.dist(point, p) for j, p in enumerate(points) if labels[j] == label and j != i]
            if others:
                means[label] = sum(others) / len(others)
        a = means.pop(labels[i], None)
        b = min(means.values())
        if a is not None and max(a, b) > 0:
            total += (b - a) / max(a, b)
    return total / len(points)
