"""The mix at 70 % of what the service can bear, for 20 minutes: no error, and memory, files and threads stay flat.

SECONDS=1200 says how long.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import httpx
import numpy as np

from loadtests.mix import KINDS, UPLOAD_ROWS, UPLOAD_SECONDS, Mixed, run_mix
from loadtests.reliability.report import Row
from loadtests.reliability.stage import Stage, latencies, metrics, milliseconds, percentile, source
from loadtests.server import Service
from loadtests.trend import Trend, trend
from loadtests.watch import Watch

__all__ = ["run"]

PART = 0.7
STEP = 1.25
FIRST_SCALE = 2.0
MAX_STEPS = 12
SMALL_P99_SECONDS = 0.25
"""A step of the search is borne when all is answered and the ad platform's p99 is below this."""
WARM_UP_PART = 0.15
BLOCKS = 20
MB = 1e6


def run(stage: Stage, *, quick: bool) -> tuple[list[Row], dict[str, Any]]:
    seconds = float(os.environ.get("SECONDS", 20 if quick else 1200))
    step_seconds = 3.0 if quick else 12.0
    with stage.service("soak-capacity") as service:
        capacity, steps = _capacity(service, step_seconds, 2 if quick else MAX_STEPS)
    with stage.service("soak") as service:
        scale = PART * capacity
        with Watch(service.pid, max(0.2, seconds / 400)) as watch:
            mixed = run_mix(service.url, scale, seconds, source)
        after = metrics(service.url)
        errors_logged = service.log.read_text("utf-8", "replace").count('"level":"error"')
    samples = watch.samples[int(WARM_UP_PART * len(watch.samples)) :]
    times = [sample.seconds for sample in samples]
    trends = {
        name: trend(times, [getattr(sample, name) for sample in samples], BLOCKS)
        for name in ("anonymous_bytes", "files", "threads")
    }
    figures = {
        "seconds": seconds,
        "capacity_scale": capacity,
        "scale": scale,
        "capacity_steps": steps,
        **_summary(mixed),
        "service_cores": (samples[-1].cpu_seconds - samples[0].cpu_seconds) / (times[-1] - times[0]),
        "trends": {name: found._asdict() for name, found in trends.items()},
        "samples": [[round(sample.seconds - times[0], 1), *sample[1:5]] for sample in samples],
        "errors_logged": errors_logged,
        "after": {name: value for name, value in after.items() if name in ("segserve_requests_in_flight",)},
    }
    return _rows(figures, trends), figures


def _capacity(service: Service, seconds: float, most_steps: int) -> tuple[float, list[dict[str, Any]]]:
    """The largest scale of the mix that is borne, and what was seen on the way."""
    scale, borne, steps = FIRST_SCALE, FIRST_SCALE / STEP, []
    for _ in range(most_steps):
        found = _summary(run_mix(service.url, scale, seconds, source))
        steps.append({"scale": scale, **found})
        if found["errors"] or found["latencies"]["ad platform"]["p99"] > SMALL_P99_SECONDS:
            break
        borne, scale = scale, scale * STEP
    return borne, steps


def _summary(mixed: Mixed) -> dict[str, Any]:
    answers = mixed.answers
    waits = {}
    for number, (request, _) in enumerate(KINDS):
        seconds = latencies(answers, answers.source == number)
        waits[request.name] = {"n": len(seconds), "p50": percentile(seconds, 50), "p99": percentile(seconds, 99)}
    bad = Counter(str(status) for status in answers.status[answers.status != httpx.codes.OK])
    bad.update(f"upload {one['status']} {one['detail'][:200]}" for one in mixed.uploads if one["status"] != 200)
    return {
        "sent": len(answers.due),
        "uploads": len(mixed.uploads),
        "upload_p50_seconds": float(np.median([one["seconds"] for one in mixed.uploads] or [np.nan])),
        "errors": dict(bad) | answers.errors,
        "latencies": waits,
        "generator_cores": answers.generator_cpu_seconds / float(np.nanmax(answers.done)),
    }


def _rows(found: dict[str, Any], trends: dict[str, Trend]) -> list[Row]:
    what = f"soak, {found['seconds'] / 60:.0f} min of the mix at {PART:.0%} of capacity"
    rates = ", ".join(f"{found['scale'] * rate:,.0f}/s {request.name}" for request, rate in KINDS)
    bad = sum(found["errors"].values())
    waits = "; ".join(
        f"{name} p50 {milliseconds(one['p50'])}, p99 {milliseconds(one['p99'])}"
        for name, one in found["latencies"].items()
    )
    rows = [
        Row(
            "soak/errors", f"{what}: errors, wrong answers",
            f"{bad:,} of {found['sent']:,} requests and {found['uploads']:,} uploads", "0",
            not bad and not found["errors_logged"],
            f"{rates}, an upload of {UPLOAD_ROWS:,} rows every {UPLOAD_SECONDS / found['scale']:.1f} s; {waits}; "
            f"uploads {found['upload_p50_seconds']:.2f} s; the service used {found['service_cores']:.2f} cores, the "
            f"generator {found['generator_cores']:.2f}. Every reply was compared with the first one of its kind.",
        )
    ]  # fmt: skip
    names = {"anonymous_bytes": ("memory", MB, " MB"), "files": ("open files", 1, ""), "threads": ("threads", 1, "")}
    for key, (name, unit, suffix) in names.items():
        grown = trends[key]
        hours = found["seconds"] / 3600
        rows.append(
            Row(
                f"soak/{name.replace(' ', '-')}", f"{what}: {name}",
                f"{grown.level / unit:,.0f}{suffix}, {grown.slope_per_hour * hours / unit:+.2f} "
                f"± {grown.half_width_per_hour * hours / unit:.2f}{suffix} over the run",
                "flat within noise (95 %)", not grown.grows,
            )
        )  # fmt: skip
    return rows
