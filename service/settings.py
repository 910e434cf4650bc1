"""The service's settings: one frozen class, read once from SEGSERVE_* variables, each documented where it stands."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from proto.limits import Limits

__all__ = ["Settings", "available_cores", "unknown_variables"]

MIB = 1 << 20
# Where the command line finds a service, and its key there: no settings, but at home in the same environment.
CLI_VARIABLES = frozenset({"SEGSERVE_URL", "SEGSERVE_API_KEY"})


def available_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The cores this process may use: its affinity mask, capped by the container's CPU quota (cgroup v2 or v1)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroup / name).read_text() for name in names).split()
            if quota in ("max", "-1"):
                return cores
            return max(1, min(cores, math.ceil(int(quota) / int(period))))
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return cores


class Settings(BaseSettings):
    """Every setting is an environment variable, SEGSERVE_ and its name in capitals, and a flag of `segserve serve`."""

    model_config = SettingsConfigDict(env_prefix="SEGSERVE_", frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8765, ge=0, le=65535, description="Port to listen on; 0 takes a free one and prints it.")
    api_keys: str | None = Field(
        default=None,
        description="Callers' keys as NAME:SHA256[:RATE[:BURST]], separated by spaces or commas (`segserve key NAME` "
        "makes one). Default: nobody needs a key.",
    )
    api_keys_file: str | None = Field(
        default=None, description="File with such keys, one a line; read again when it changes."
    )
    allow_anonymous: bool = Field(
        default=False, description="Listen on an address that others can reach although nobody needs a key."
    )
    metrics_key: str | None = Field(
        default=None, description="Name of the key that /metrics asks for. Default: /metrics is open."
    )
    ssl_certfile: str | None = Field(default=None, description="Certificate chain (PEM): with it, TLS is served.")
    ssl_keyfile: str | None = Field(default=None, description="Its private key, where the chain does not hold it.")
    ssl_keyfile_password: str | None = Field(default=None, description="Password of that key.")
    ssl_ca_certs: str | None = Field(default=None, description="Authorities (PEM) whose certificates callers present.")
    ssl_cert_reqs: Literal["none", "optional", "required"] = Field(
        default="none", description="Whether callers present a certificate: required is mutual TLS."
    )
    models: str | None = Field(
        default=None,
        description="Folder or bucket URI (s3://, gs://, file://) with fitted models, *.json; read once, at the start.",
    )
    threads: int = Field(default=0, ge=0, le=256, description="Compute threads; 0: the cores this container has.")
    bulk_nice: int = Field(
        default=10,
        ge=0,
        le=19,
        description="How far threads that compute stand back for small scores where cores are short: their nice value, "
        "on Linux; less where other processes in its container, or outside any, hold the cores.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged.")
    access_log: bool = Field(default=True, description="One log line per request.")
    telemetry: bool = Field(
        default=False, description="OpenTelemetry traces, sent where the OTEL_EXPORTER_OTLP_ENDPOINT variable says."
    )
    max_requests: int = Field(default=1024, ge=1, description="Requests in flight; more are answered 503.")
    max_bulk_requests: int = Field(
        default=64, ge=1, description="Bulk requests worked on at one time, without those whose reply is read slowly."
    )
    max_queued_requests: int = Field(
        default=256, ge=0, description="Longest queue of each lane; more are answered 503."
    )
    queue_seconds: float = Field(default=10.0, gt=0, description="Longest wait of a bulk request for its place.")
    small_queue_seconds: float = Field(default=1.0, gt=0, description="Longest wait of a small request for a slot.")
    score_queue_seconds: float = Field(
        default=0.02,
        gt=0,
        description="Longest wait of a small score while the event loop stays behind; it grows "
        "where refusing would take over a third of the time.",
    )
    max_body_bytes: int = Field(default=64 * 1024 * MIB, ge=1, description="Largest body, after decompression.")
    max_message_bytes: int = Field(default=256 * MIB, ge=1, description="Largest Arrow message (one record batch).")
    max_document_bytes: int = Field(default=64 * MIB, ge=1, description="Largest JSON body.")
    max_customers: int = Field(default=100_000_000, ge=1, description="Most customers in one request.")
    max_pairs: int = Field(default=400_000_000, ge=1, description="Most distinct (customer, occasion) pairs.")
    memory_budget_bytes: int = Field(
        default=0,
        ge=0,
        description="Memory of all requests together; 0: 70 % of what the container has left once ready, and less in "
        "a small one, where 400 MB stay free.",
    )
    small_body_bytes: int = Field(
        default=256 * 1024, ge=0, description="Bodies up to this size are scored in place, without a thread hop."
    )
    header_seconds: float = Field(default=10.0, gt=0, description="Longest time for the head of a request.")
    read_seconds: float = Field(default=20.0, gt=0, description="Time over which a body must keep the least rate.")
    write_seconds: float = Field(default=30.0, gt=0, description="Time over which a reply must be read at that rate.")
    min_bytes_per_second: int = Field(default=1024, ge=0, description="Least rate of a body and of reading a reply.")
    request_seconds: float = Field(default=3600.0, gt=0, description="Longest time for a whole request.")
    drain_seconds: float = Field(
        default=0,
        ge=0,
        le=3600,
        description="How long requests are still taken after SIGTERM, while /readyz already says no.",
    )
    shutdown_seconds: int = Field(default=30, ge=0, description="How long accepted requests may finish at the end.")
    keep_alive_seconds: int = Field(
        default=75, ge=1, description="How long an idle connection stays; longer than the proxy in front keeps it."
    )

    @property
    def n_threads(self) -> int:
        return self.threads or available_cores()

    @property
    def limits(self) -> Limits:
        return Limits(
            max_body_bytes=self.max_body_bytes,
            max_message_bytes=self.max_message_bytes,
            max_document_bytes=self.max_document_bytes,
            max_customers=self.max_customers,
            max_pairs=self.max_pairs,
        )


def unknown_variables(environment: Iterable[str]) -> Iterator[str]:
    """A sentence for each SEGSERVE_ variable that is no setting: a misspelt one would be ignored in silence."""
    known = {f"SEGSERVE_{name.upper()}" for name in Settings.model_fields} | CLI_VARIABLES
    for name in sorted(name for name in environment if name.startswith("SEGSERVE_") and name not in known):
        near = difflib.get_close_matches(name, known, 1, 0.8)
        yield f"{name} is no setting{f'; perhaps {near[0]} is meant' if near else ''}"
