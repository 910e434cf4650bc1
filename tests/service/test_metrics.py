"""Metrics: what Prometheus' own parser reads, with every label value there from the start."""

import ast
import itertools
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proto.errors import ErrorCode
from service.metrics import ENDPOINTS, OUTCOMES, STAGES, Metrics, StageTimer

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def _samples(metrics: Metrics) -> Samples:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def _at(samples: Samples, name: str, **labels: str) -> float:
    return samples[(name, frozenset(labels.items()))]


def test_every_label_value_is_there_from_the_start() -> None:
    samples = _samples(Metrics())
    for endpoint in ENDPOINTS:
        for name in ("rows_total", "customers_total", "received_bytes_total", "sent_bytes_total"):
            assert _at(samples, f"segserve_{name}", endpoint=endpoint) == 0
    for endpoint, outcome in itertools.product(ENDPOINTS, OUTCOMES):
        assert _at(samples, "segserve_requests_total", endpoint=endpoint, outcome=outcome) == 0
    for endpoint, stage in itertools.product(ENDPOINTS, STAGES):
        assert _at(samples, "segserve_stage_seconds_count", endpoint=endpoint, stage=stage) == 0
    for code in ErrorCode:
        assert _at(samples, "segserve_errors_total", code=code.value) == 0
    for name in ("requests_in_flight", "compute_slots_in_use", "compute_slots", "ready", "models"):
        assert _at(samples, f"segserve_{name}") == 0


def test_metrics_are_named_after_the_house_and_documented() -> None:
    families = list(text_string_to_metric_families(Metrics().exposition().decode()))
    ours = [family for family in families if family.name.startswith("segserve_")]
    assert len(ours) >= 14
    assert all(family.documentation.endswith(".") for family in ours)
    assert {family.name.split("_")[0] for family in families} <= {"segserve", "process", "python"}


def test_nothing_new_appears_when_requests_come() -> None:
    metrics = Metrics()
    before = set(_samples(metrics))
    timer = StageTimer()
    for stage in STAGES[:-1]:
        with timer.stage(stage):
            pass
    metrics.tallies.of["fit"].add("ok", {**timer.seconds, "total": timer.elapsed()})
    after = _samples(metrics)
    assert set(after) == before
    assert all(_at(after, "segserve_stage_seconds_count", endpoint="fit", stage=stage) == 1 for stage in STAGES)
    assert _at(after, "segserve_requests_total", endpoint="fit", outcome="ok") == 1


def test_two_registries_do_not_share_anything() -> None:
    one, other = Metrics(), Metrics()
    one.models.set(3)
    assert _at(_samples(other), "segserve_models") == 0


def test_a_timer_adds_up_and_counts_what_fails() -> None:
    timer = StageTimer()
    timer.add("decode", 0.25)
    timer.add("decode", 0.5)
    assert timer.seconds == {"decode": 0.75}
    with pytest.raises(ArithmeticError), timer.stage("compute"):
        raise ArithmeticError
    assert timer.seconds["compute"] >= 0
    assert timer.elapsed() >= 0


def test_the_header_is_server_timing() -> None:
    timer = StageTimer()
    timer.add("decode", 0.25)
    timer.add("encode", 0.0005)
    stages = [part.split(";dur=") for part in timer.header().decode().split(", ")]
    assert stages[:2] == [["decode", "250.000"], ["encode", "0.500"]]
    assert stages[2][0] == "total"
    assert float(stages[2][1]) >= 0


def test_the_service_times_no_other_stages() -> None:
    used = set()
    for path in Path(__file__).parents[2].joinpath("service").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "stage":
                argument = node.args[0]
                if isinstance(argument, ast.Constant):
                    used.add(argument.value)
    assert {"queue", "decode"} <= used <= set(STAGES)
