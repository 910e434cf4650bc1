"""Whether a series grows: the slope of a least-squares line, with its 95 % confidence interval.

Neighbouring looks at a process are alike, so the line goes through the medians of blocks, which are nearly independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Trend", "trend"]

T_95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10)
"""Two-sided quantiles of Student's t, for 1, 2, … degrees of freedom; 1.96 + 2.4/df is within 1 % beyond."""


class Trend(NamedTuple):
    """Of one series: its median, and its slope and half the width of the slope's interval, per hour."""

    level: float
    slope_per_hour: float
    half_width_per_hour: float

    @property
    def grows(self) -> bool:
        """More than noise would."""
        return self.slope_per_hour > self.half_width_per_hour + 1e-9 * abs(self.level)  # not what floats round to


def trend(seconds: Sequence[float], values: Sequence[float], blocks: int) -> Trend:
    """The trend over so many blocks (at least 3) of equally many looks."""
    times = [float(np.median(part)) for part in np.array_split(np.asarray(seconds, float), blocks)]
    medians = [float(np.median(part)) for part in np.array_split(np.asarray(values, float), blocks)]
    x, y = np.array(times) - np.mean(times), np.array(medians)
    spread = float((x * x).sum())
    slope = float((x * y).sum()) / spread
    residuals = y - y.mean() - slope * x
    freedom = blocks - 2
    t = T_95[freedom - 1] if freedom <= len(T_95) else 1.96 + 2.4 / freedom
    half_width = t * float(np.sqrt((residuals * residuals).sum() / freedom / spread))
    return Trend(float(np.median(values)), slope * 3600, half_width * 3600)
