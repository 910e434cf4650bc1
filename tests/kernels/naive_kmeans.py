"""Pure-Python twins of the k-means kernels, obviously right. Points are rows here."""

from tests.kernels.naive_scoring import nearest, square_distance


def inertia(points, centroids, weights=None):
    weights = [1.0] * len(points) if weights is None else weights
    return sum(w * min(square_distance(p, c) for c in centroids) for p, w in zip(points, weights, strict=True))


def mean(points, weights):
    total = sum(weights)
    return [sum(w * p[j] for p, w in zip(points, weights, strict=True)) / total for j in range(len(points[0]))]


def lloyd(points, centroids, weights=None, max_passes=300):
    """Plain passes until no label changes; a centroid without weight stays where it is."""
    weights = [1.0] * len(points) if weights is None else weights
    labels = None
    for _ in range(max_passes):
        found = [nearest(p, centroids) for p in points]
        if found == labels:
            break
        labels = found
        moved = []
        for c, centroid in enumerate(centroids):
            members = [i for i, label in enumerate(labels) if label == c and weights[i] > 0]
            if members:
                centroid = mean([points[i] for i in members], [weights[i] for i in members])
            moved.append(centroid)
        centroids = moved
    return centroids, labels


def draw(chances, uniform):
    """The row in which uniform · total falls, counting rows lane by lane of 1,024."""
    order = sorted(range(len(chances)), key=lambda i: (i % 1024, i))
    target, before = uniform * sum(chances), 0.0
    for i in order:
        before += chances[i]
        if before > target:
            return i
    return order[-1]


def greedy_seeds(points, k, uniforms, n_candidates):
    """Greedy k-means++ as the formula says it."""
    used = iter(uniforms)
    seeds = [points[draw([1.0] * len(points), next(used))]]
    while len(seeds) < k:
        chances = [min(square_distance(p, s) for s in seeds) for p in points]
        tried = [points[draw(chances, next(used))] for _ in range(n_candidates)]
        seeds.append(min(tried, key=lambda candidate: inertia(points, [*seeds, candidate])))
    return seeds
