"""A made-up summary and model for the tests of the command line."""

from __future__ import annotations

from typing import Any

from proto.classes import RFM_CLASSES, segment_labels
from proto.model import Model, seal
from proto.summary import Summary

CLASSES = [RFM_CLASSES[i] for i in (7, 7, 3, 5, 4, 4, 0)]
SIZES = [198, 311, 120, 215, 380, 360, 483]
REVENUE = [0.45, 0.22, 0.1, 0.09, 0.06, 0.05, 0.03]
LABELS = {lang: segment_labels(CLASSES, lang) for lang in ("code", "en", "zh")}


def segments() -> list[dict[str, Any]]:
    total = sum(SIZES)
    return [
        {
            "id": i,
            **{lang: LABELS[lang][i] for lang in ("code", "en", "zh")},
            "size": size,
            "share": size / total,
            "means": {"recency_days": 1.2 * 3**i, "frequency": 180.4 / (i + 1), "monetary": 10431.2 / (i + 1) ** 1.5},
            "revenue_share": REVENUE[i],
            "value_score": 1.92 - 0.6 * i,
        }
        for i, size in enumerate(SIZES)
    ]


def summary(**changes: Any) -> Summary:
    return Summary.model_validate(
        {
            "model_id": "ab" * 32,
            "as_of": "2018-01-01T04:01:20Z",
            "history_days": 364.9,
            "counts": {"rows_in": 1_469_307, "rows_used": 1_469_307, "customers_out": sum(SIZES)},
            "segments": segments(),
            **changes,
        }
    )


def model() -> Model:
    feature = {
        "log": False,
        "log_unit": 100.0,
        "centre": 0.0,
        "spread": 1.0,
        "weight": 1 / 3,
        "mean": 10.0,
        "median": 8.0,
        "deviation": 3.0,
        "minimum": 0.0,
        "maximum": 400.0,
        "quantiles": [float(i) for i in range(1, 10)],
        "shares": [0.1] * 10,
    }
    extra = {"margins": {}, "borderline": False, "centroid": [0.0, 0.0, 0.0]}
    made = Model.model_validate(
        {
            "input": "transactions",
            "aggregation": {
                "tz": "UTC",
                "window_days": 365.0,
                "occasion": "order",
                "refunds": "net",
                "monetary": "sum",
                "whole_days": False,
            },
            "scaler": "zscore",
            "log_unit": "median",
            "class_cut": "mean",
            "features": [
                {**feature, "name": "recency_days", "sign": -1},
                {**feature, "name": "frequency", "sign": 1, "log": True, "log_unit": 12.5},
                {**feature, "name": "monetary", "sign": 1, "log": True, "log_unit": 3150.0},
            ],
            "segments": [{**segment, **extra, "class_code": CLASSES[segment["id"]].code} for segment in segments()],
            "score_quantiles": [i / 1000 for i in range(1010)],
            "fitted_on": {
                "customers": sum(SIZES),
                "rows": 5000,
                "as_of": "2018-01-01T04:01:20Z",
                "history_days": 364.9,
                "inertia": 123.4,
                "k_requested": 8,
                "n_init": 10,
                "seed": 0,
                "starts": 10,
                "steps": 120,
                "passes": 7,
                "options": {},
                "warnings": [{"code": "k_lowered", "message": "There are 7 distinct customers; k is 7."}],
            },
        }
    )
    return seal(made)
