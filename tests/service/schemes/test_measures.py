"""Ratios, cuts and the columns of a fit."""

from __future__ import annotations

import numpy as np
import pytest

from proto.errors import ErrorCode, RequestError
from service.schemes.catalogue import named
from service.schemes.measures import discount_share, ratio, sum_known, wanted_quantiles
from tests.service.schemes.shop import request, transactions

NAN = np.nan


def test_a_ratio_needs_a_denominator_above_0() -> None:
    over, under = np.array([1.0, 1.0, 1.0, 1.0, NAN, 0.0]), np.array([4.0, 0.0, -2.0, NAN, 1.0, 5.0])
    np.testing.assert_array_equal(ratio(over, under), [0.25, NAN, NAN, NAN, NAN, 0.0])


def test_a_discount_counts_by_its_magnitude() -> None:
    discount, revenue = np.array([25.0, -25.0, 0.0, 0.0, NAN, 5.0]), np.array([75.0, 75.0, 10.0, 0.0, 9.0, -5.0])
    np.testing.assert_array_equal(discount_share(discount, revenue), [0.25, 0.25, 0.0, NAN, NAN, NAN])


def test_quantiles_and_sums_are_of_what_is_known() -> None:
    values = np.array([NAN, 1.0, 3.0])
    assert wanted_quantiles(values, [0.0, 0.5, 1.0]) == [1.0, 2.0, 3.0]
    assert sum_known(values) == 4.0
    assert wanted_quantiles(values[:1], [0.5]) is None
    assert sum_known(values[:1]) == 0.0


def test_scoring_needs_the_columns_of_the_fit() -> None:
    """A model that knew of partnerships would otherwise call the same customer something else."""
    table = transactions(named("value_type"))
    model = request(table, "value_type").model
    with pytest.raises(RequestError, match="with partnership, which the data lack") as missing:
        request(table.drop_columns("partnership"), "value_type", model)
    assert missing.value.code == ErrorCode.MISSING_COLUMN
    without = request(table.drop_columns("partnership"), "value_type").model
    with pytest.raises(RequestError, match="without partnership") as beyond:
        request(table, "value_type", without)
    assert beyond.value.code == ErrorCode.CONFLICTING_OPTIONS
