"""One request's customers as schemes see them: the base's columns, and what was accumulated for the scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from service.schemes.moment import Moment

__all__ = ["View"]

Floats = npt.NDArray[np.float64]


@dataclass
class View:
    """n customers in the order of the reply. Of a customers table a base column is None where the table lacks it."""

    n: int
    spend: Floats | None
    """Net sum of the amounts."""
    monetary: Floats | None
    """The feature: that sum, or per occasion where monetary=mean."""
    orders: Floats | None
    """Frequency: purchases, as `occasion` counts them."""
    recency_days: Floats | None
    """NaN without a purchase."""
    tenure_days: Floats | None
    """as_of − first purchase; NaN without one."""
    purchased: npt.NDArray[np.bool_]
    moment: Moment | None
    """None for a customers table."""
    history_days: float | None
    accumulated: Mapping[str, Mapping[str, npt.NDArray[Any]]] = field(default_factory=dict)
    """By the names that the scheme's `accumulate` gives."""
    labels: Mapping[str, list[str]] = field(default_factory=dict)
    """The texts of a label column by number."""
    segments: npt.NDArray[np.int32] | None = None
    """Each customer's segment, −1 without; there when `summarise` is called."""
    n_segments: int = 0
    percentiles: Callable[[], Floats] | None = None
    """The value percentile of each customer, 0 … 100, by the model at hand; NaN without a purchase."""

    def has(self, name: str) -> bool:
        return name in self.accumulated

    def of(self, name: str, figure: str = "value") -> npt.NDArray[Any]:
        """A figure of what was accumulated under this name."""
        return self.accumulated[name][figure]
