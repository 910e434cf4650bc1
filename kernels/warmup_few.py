"""Compile what small requests need, by using each public wrapper once; arrays as they come: read-only."""

import numpy as np

from kernels._jit import readonly
from kernels.few_rows import NO_VALUES, FewPlan, aggregate_few, all_distinct
from kernels.few_scores import prepare_few, score_few
from kernels.json_columns import read_columns
from kernels.label_texts import label_columns, prepare_labels
from kernels.scaling import SCORE_PROBABILITIES
from kernels.scoring import Scoring, prepare


def warm() -> None:
    """Aggregate four rows and score their customers; read and write some as text."""
    ids, ticks = readonly(np.arange(4) % 2), readonly(np.arange(4))
    all_distinct(ids)
    plan = FewPlan(-1, 4, takes_refunds=True, mean=False, as_of_rest_ns=0, ticks_per_day=1, whole_days=False)
    aggregate_few(ids, ticks, readonly(np.ones(4)), ticks, plan)
    found = aggregate_few(ids, ticks, readonly(np.ones(4)), NO_VALUES, plan)
    assert found is not None
    ones = np.ones(3)
    scoring = prepare(Scoring(ones, ones, ones > 0.0, ones, ones, ones / 3, np.zeros((2, 3))))
    few = prepare_few(scoring, SCORE_PROBABILITIES, SCORE_PROBABILITIES, (0, 1, 2), ones, ones, ones > 0.0)
    values = readonly(found.features.reshape(-1))
    scores = score_few(values, readonly(np.arange(5) * 4), found.n, few, has_revenue=True)
    assert scores is not None
    label_columns(scores.words, found.n, prepare_labels([b'"a"', b'"b"'], [b'"c"'] * 8))
    read_columns(b'{"columns":{"a":[1,0.12345678901234567],"b":["a","b"]}}')
