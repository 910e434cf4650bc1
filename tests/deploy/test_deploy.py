"""The files in deploy/: they name metrics that exist, say what Prometheus understands, and fit Kubernetes' schemas."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import orjson
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app
from service.server import CUT_SECONDS
from service.settings import Settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "segserve.rules.yaml"
CASES = DEPLOY / "prometheus" / "segserve.tests.yaml"
DASHBOARD = DEPLOY / "grafana" / "segserve.json"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
# The oldest whose preStop can sleep without a program, and the newest whose schemas there are.
KUBERNETES = ("1.30", kubernetes_validate.latest_version())

METRIC = re.compile(r"\b(?:segserve|process|python)_[a-z0-9_]+\b")
SELECTOR = re.compile(r"\b([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"([^\"]*)\"")
OURS = {"job", "instance", "le"}  # labels that come from Prometheus, or from the form of a histogram

promtool = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    promtool is None, reason="promtool is not installed (Debian: apt install prometheus)"
)


def _rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _panels() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = orjson.loads(DASHBOARD.read_bytes())["panels"]
    return panels


def _expressions() -> Iterator[tuple[str, str]]:
    for rule in _rules():
        yield rule["alert"], rule["expr"]
    for panel in _panels():
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


EXPRESSIONS = [pytest.param(*pair, id=f"{i}-{pair[0]}") for i, pair in enumerate(_expressions())]


@pytest.fixture(scope="module")
def labels() -> dict[str, dict[str, set[str]]]:
    """Every sample's name, with its labels and the values they have."""
    state = create_app(Settings(threads=1, api_keys="shop:" + "0" * 64)).state.segserve
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(state.metrics.exposition().decode()):
        for sample in family.samples:
            told = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                told.setdefault(name, set()).add(value)
    state.close()
    return found


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_every_metric_and_label_exists(where: str, expression: str, labels: dict[str, dict[str, set[str]]]) -> None:
    named = METRIC.findall(expression)
    assert named or expression.startswith(("up", "count(up")), where
    assert set(named) <= set(labels), where
    for name, value in SELECTOR.findall(expression):
        if name in OURS:
            continue
        values = set().union(*(labels[metric].get(name, set()) for metric in named))
        assert set(value.split("|")) <= values, (where, name, value)
    for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
        known = OURS.union(*(labels[metric] for metric in named))
        assert {name.strip() for name in grouped.split(",")} <= known, where


def test_the_dashboard_shows_every_metric_of_ours(labels: dict[str, dict[str, set[str]]]) -> None:
    shown = {
        name for panel in _panels() for target in panel.get("targets", []) for name in METRIC.findall(target["expr"])
    }
    bare = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in shown}
    ours = {name for name in labels if name.startswith("segserve_") and not name.endswith("_created")}
    missing = {
        name for name in ours if name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") not in bare
    }
    assert not missing


def test_panels_do_not_overlap_and_are_described() -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in _panels()]
    assert len(ids) == len(set(ids))
    for panel in _panels():
        place = panel["gridPos"]
        columns = range(place["x"], place["x"] + place["w"])
        cells = set(itertools.product(columns, range(place["y"], place["y"] + place["h"])))
        assert not cells & taken, panel["title"]
        assert max(columns) < 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]


def test_every_alert_says_what_and_what_to_do_and_is_tried() -> None:
    names = [rule["alert"] for rule in _rules()]
    assert len(names) == len(set(names))
    for rule in _rules():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert set(rule["annotations"]) == {"summary", "description"}
    tried = {
        case["alertname"]
        for test in yaml.safe_load(CASES.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert tried == set(names)


@needs_promtool
@pytest.mark.parametrize("words", [["check", "rules", RULES.name], ["test", "rules", CASES.name]], ids=" ".join)
def test_promtool_agrees(words: list[str]) -> None:
    assert promtool is not None
    done = subprocess.run([promtool, *words], cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_understands_the_dashboard(tmp_path: Path) -> None:
    assert promtool is not None
    expressions = [target["expr"] for panel in _panels() for target in panel.get("targets", [])]
    rules = [
        {"record": f"panel:{i}", "expr": expression.replace("$__rate_interval", "5m")}
        for i, expression in enumerate(expressions)
    ]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# Kubernetes


def _manifest(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "kubernetes" / f"{name}.yaml").read_text())
    return document


CONTAINER = _manifest("deployment")["spec"]["template"]["spec"]["containers"][0]
VARIABLES = {entry["name"]: entry["value"] for entry in CONTAINER["env"]}


def test_there_are_manifests() -> None:
    kinds = {yaml.safe_load(path.read_text())["kind"] for path in MANIFESTS}
    assert kinds == {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "ServiceMonitor"}


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("path", [p for p in MANIFESTS if p.stem != "servicemonitor"], ids=lambda path: path.stem)
def test_manifests_fit_the_schemas(path: Path, version: str) -> None:
    kubernetes_validate.validate(yaml.safe_load(path.read_text()), version, strict=True)


def test_the_service_monitor_has_the_fields_of_its_definition() -> None:
    monitor = _manifest("servicemonitor")
    assert (monitor["apiVersion"], monitor["kind"]) == ("monitoring.coreos.com/v1", "ServiceMonitor")
    assert set(monitor["spec"]) == {"selector", "endpoints"}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert set(endpoint) == {"port", "path", "interval"}
    service = _manifest("service")
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


def test_everything_selects_the_pods() -> None:
    pods = _manifest("deployment")["spec"]["template"]["metadata"]["labels"]
    for selector in (
        _manifest("deployment")["spec"]["selector"]["matchLabels"],
        _manifest("service")["spec"]["selector"],
        _manifest("pdb")["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= pods.items()
    target = _manifest("hpa")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", _manifest("deployment")["metadata"]["name"])


def test_the_variables_are_settings() -> None:
    given = {name.removeprefix("SEGSERVE_").lower(): value for name, value in VARIABLES.items()}
    settings = Settings(**given)
    assert settings.api_keys_file is not None
    mounts = {mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert str(Path(settings.api_keys_file).parent) in mounts
    assert not any("subPath" in mount for mount in CONTAINER["volumeMounts"])  # those are never refreshed


def test_there_is_time_for_the_end() -> None:
    pod = _manifest("deployment")["spec"]["template"]["spec"]
    settings = Settings(**{name.removeprefix("SEGSERVE_").lower(): value for name, value in VARIABLES.items()})
    before = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed = before + settings.drain_seconds + settings.shutdown_seconds + CUT_SECONDS
    assert pod["terminationGracePeriodSeconds"] > needed
    assert settings.drain_seconds > CONTAINER["readinessProbe"]["periodSeconds"]


def test_probes_ask_what_is_open() -> None:
    asked = {CONTAINER[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert asked == {"/healthz", "/readyz"}
    assert CONTAINER["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert CONTAINER["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_the_container_has_no_more_rights_than_it_needs() -> None:
    context = CONTAINER["securityContext"]
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"]["drop"] == ["ALL"]
    assert _manifest("deployment")["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"]
    assert {"cpu", "memory", "ephemeral-storage"} == set(CONTAINER["resources"]["limits"])
