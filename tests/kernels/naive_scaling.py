"""Pure-Python twins of kernels/scaling.py, obviously right."""

import math
import statistics


def signed_log(values, log_factor, clip):
    found = []
    for x in values:
        if clip and x < 0:
            x = 0.0
        found.append(math.copysign(math.log1p(log_factor * abs(x)), x) if x else 0.0)
    return found


def median_nonzero_abs(values):
    sizes = [abs(x) for x in values if x != 0]
    return statistics.median(sizes) if sizes else 0.0


def quantile(values, percent):
    ordered = sorted(values)
    place = percent / 100 * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def centre_and_spread(values, scaler):
    low, high = min(values), max(values)
    if low == high:
        return low, 0.0, False
    if scaler == "none":
        return 0.0, 1.0, False
    if scaler == "minmax":
        return low, high - low, False
    fell_back = False
    if scaler == "robust":
        width = quantile(values, 75) - quantile(values, 25)
        if width > 0:
            return quantile(values, 50), width / 1.349, False
        fell_back = True
    return statistics.fmean(values), statistics.pstdev(values), fell_back
