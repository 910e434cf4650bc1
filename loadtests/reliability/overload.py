"""Five times what can be served: goodput against its peak, how soon rejects are told, how soon latency is normal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import numpy as np

from loadtests.open_load import GIVEN_UP, Answers, run_open_load
from loadtests.reliability.report import Row
from loadtests.reliability.stage import Stage, latencies, milliseconds, percentile, source
from loadtests.server import Service
from loadtests.users import Request, ad_platform, analyst
from loadtests.watch import usage

__all__ = ["run"]

TIMES, STEP, MOST_STEPS = 5.0, 1.5, 12
NORMAL = 0.5
"""Of the peak: the load before and after the burst."""
GOODPUT_RATIO, FIRST_BYTE_SECONDS, RECOVERY_SECONDS = 0.9, 0.05, 2.0
PATIENCE_SECONDS = 1.0
"""How long a caller waits for one of the generator's connections."""
BUCKET_SECONDS = 0.25


class _Times(NamedTuple):
    peak: float
    normal: float
    burst: float
    after: float


FULL, QUICK = _Times(4.0, 6.0, 15.0, 8.0), _Times(1.0, 2.0, 3.0, 4.0)


def run(stage: Stage, *, quick: bool) -> tuple[list[Row], dict[str, Any]]:
    times = QUICK if quick else FULL
    rows: list[Row] = []
    figures: dict[str, Any] = {}
    for key, request, first_rate in (("small", ad_platform(), 400.0), ("segment", analyst(), 20.0)):
        with stage.service(f"overload-{key}") as service:
            found = _measure(service, request, first_rate, times)
        figures[key] = found
        rows += _rows(key, request, found)
    return rows, figures


def _measure(service: Service, request: Request, first_rate: float, times: _Times) -> dict[str, Any]:
    steps = _steps(service, request, first_rate, times.peak)
    rate = max(steps, key=lambda step: step[1])[0]
    peak = _served(service, request, rate, times.burst)
    normal = NORMAL * peak
    phases = [(times.normal, normal), (times.burst, TIMES * peak), (times.after, normal)]
    start, end = times.normal, times.normal + times.burst
    cpu: list[float] = []
    at = [(moment, lambda: cpu.append(usage(service.pid).cpu_seconds)) for moment in (start, end)]
    load = [source(service.url, request, phases)]
    answers = run_open_load(service.url, load, give_up_seconds=PATIENCE_SECONDS, at=at)
    return {
        "peak_per_second": peak,
        "peak_offered_per_second": rate,
        "steps": steps,
        "goodput_per_second": _goodput(answers, start, end),
        "service_cores": (cpu[1] - cpu[0]) / times.burst,
        **_burst(answers, start, end),
        **_recovery(answers, start, end),
    }


def _steps(service: Service, request: Request, rate: float, seconds: float) -> list[list[float]]:
    """Rates that grow until no more comes of it, and what came of each: where the peak is, not yet how high."""
    steps: list[list[float]] = []
    best = 0.0
    while True:
        goodput = _served(service, request, rate, seconds)
        steps.append([rate, goodput])
        if goodput < 1.05 * best or len(steps) == MOST_STEPS:
            return steps
        best, rate = max(best, goodput), STEP * rate


def _served(service: Service, request: Request, rate: float, seconds: float) -> float:
    """Right answers a second at a rate; for the peak as long as the burst is, or chance would choose the best step."""
    load = [source(service.url, request, [(seconds, rate)])]
    return _goodput(run_open_load(service.url, load, give_up_seconds=PATIENCE_SECONDS), 0.0, seconds)


def _goodput(answers: Answers, start: float, end: float) -> float:
    """Right answers a second, counted when they were complete."""
    good = (answers.status == httpx.codes.OK) & (answers.done >= start) & (answers.done < end)
    return float(good.sum() / (end - start))


def _burst(answers: Answers, start: float, end: float) -> dict[str, Any]:
    burst = (answers.due >= start) & (answers.due < end)
    rejected = burst & (answers.status == httpx.codes.SERVICE_UNAVAILABLE)
    accepted = latencies(answers, burst)
    statuses, counts = np.unique(answers.status[burst], return_counts=True)
    since_due = answers.first_byte[rejected] - answers.due[rejected]
    since_sent = answers.first_byte[rejected] - answers.sent[rejected]
    return {
        "offered_per_second": float(burst.sum() / (end - start)),
        "statuses": {str(status): int(count) for status, count in zip(statuses, counts, strict=True)},
        "reject_first_byte_p50_seconds": percentile(since_due, 50),
        "reject_first_byte_p99_seconds": percentile(since_due, 99),
        "reject_first_byte_since_sent_p99_seconds": percentile(since_sent, 99),
        "accepted_p50_seconds": percentile(accepted, 50),
        "accepted_p99_seconds": percentile(accepted, 99),
        "errors": answers.errors,
        "connections": answers.n_connections,
        "generator_cores": answers.generator_cpu_seconds / float(np.nanmax(answers.done)),
    }


def _recovery(answers: Answers, start: float, end: float) -> dict[str, Any]:
    """Seconds after the burst from which the median of every quarter of a second is below the p99 from before."""
    before = percentile(latencies(answers, answers.due < start), 99)
    recovered = end
    for bucket in np.arange(end, answers.due[-1], BUCKET_SECONDS):
        inside = (answers.due >= bucket) & (answers.due < bucket + BUCKET_SECONDS)
        failed = inside & (answers.status != httpx.codes.OK)
        if inside.any() and (failed.any() or np.median(answers.done[inside] - answers.due[inside]) > before):
            recovered = bucket + BUCKET_SECONDS
    after = latencies(answers, answers.due >= recovered)
    return {
        "before_p99_seconds": before,
        "recovery_seconds": float(recovered - end),
        "after_p99_seconds": percentile(after, 99),
    }


def _rows(key: str, request: Request, found: dict[str, Any]) -> Iterator[Row]:
    what = f"{found['offered_per_second'] / found['peak_per_second']:.1f} × overload, {request.path.partition('?')[0]}"
    ratio = found["goodput_per_second"] / found["peak_per_second"]
    gave_up = found["errors"].get(GIVEN_UP, 0)
    broken = max(0, sum(n for status, n in found["statuses"].items() if status not in ("200", "503")) - gave_up)
    rejects = found["statuses"].get("503", 0)
    share = rejects / max(1, sum(found["statuses"].values()))
    yield Row(
        f"overload/{key}-goodput",
        f"{what}: goodput",
        f"{found['goodput_per_second']:,.0f}/s, {ratio:.0%} of its peak of {found['peak_per_second']:,.0f}/s",
        f"≥ {GOODPUT_RATIO:.0%}",
        ratio >= GOODPUT_RATIO,
        f"{found['offered_per_second']:,.0f} requests/s of {len(request.body):,} bytes offered; the service used "
        f"{found['service_cores']:.2f} cores, the load generator {found['generator_cores']:.2f}; accepted requests "
        f"took {milliseconds(found['accepted_p50_seconds'])} at the median, "
        f"{milliseconds(found['accepted_p99_seconds'])} at the 99th percentile.",
    )
    p99 = found["reject_first_byte_p99_seconds"]
    yield Row(
        f"overload/{key}-rejects",
        f"{what}: first byte of a reject, p99",
        f"{milliseconds(p99)} ({share:.0%} of requests)" if rejects else "none was rejected",
        f"< {milliseconds(FIRST_BYTE_SECONDS)}",
        p99 < FIRST_BYTE_SECONDS if rejects else None,
        f"p50 {milliseconds(found['reject_first_byte_p50_seconds'])}; counted from when it was sent, p99 "
        f"{milliseconds(found['reject_first_byte_since_sent_p99_seconds'])}." if rejects else "",
    )  # fmt: skip
    yield Row(
        f"overload/{key}-broken",
        f"{what}: neither answered nor rejected",
        f"{broken:,}" + (f" ({_reasons(found['errors'])})" if broken else ""),
        "0",
        not broken,
        f"{gave_up:,} more were never sent: for over {PATIENCE_SECONDS:g} s all {found['connections']:,} connections "
        "of the generator waited for an answer."
        if gave_up
        else "",
    )
    yield Row(
        f"overload/{key}-recovery",
        f"{what}: latency back to normal",
        f"{found['recovery_seconds']:.2f} s after the burst",
        f"≤ {RECOVERY_SECONDS:g} s",
        found["recovery_seconds"] <= RECOVERY_SECONDS,
        f"p99 before {milliseconds(found['before_p99_seconds'])}, after {milliseconds(found['after_p99_seconds'])}.",
    )


def _reasons(errors: dict[str, int]) -> str:
    return ", ".join(f"{why}: {n:,}" for why, n in sorted(errors.items())) or "wrong answers"
