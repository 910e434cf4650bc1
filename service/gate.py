"""What is decided of a request by its headers alone, before the first body byte: a near end, its key, its rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from proto.errors import ErrorCode, RequestError
from service.api_keys import ApiKeys
from service.turns import RETRY_AFTER_SECONDS

__all__ = ["Gate", "KeyMetrics"]


class Gate:
    """Lets requests in, or says why not. Used from the event loop only."""

    def __init__(self, keys: ApiKeys, metrics_key: str | None = None) -> None:
        self.keys = keys
        self._metrics_key = metrics_key
        self.draining = False
        """The end has begun: /readyz says so, requests are still taken."""
        self.closed = False
        """Accepted requests finish, new ones are refused."""

    def enter(self, headers: Mapping[bytes, bytes]) -> str | None:
        """The name of the caller's key, None where nobody needs one.

        RequestError: SHUTTING_DOWN, UNAUTHORIZED or RATE_LIMITED.
        """
        if self.closed:
            raise RequestError(
                ErrorCode.SHUTTING_DOWN,
                "This replica is about to end and takes no new requests. Send it again: another one will answer.",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
        keys = self.keys
        if not keys.required:
            return None
        name = self._name(headers)
        bucket = keys.buckets.get(name)
        if bucket is not None and (seconds := bucket.take()):
            keys.limited[name] += 1
            raise RequestError(
                ErrorCode.RATE_LIMITED,
                f"The key {name} may make {bucket.rate:g} requests a second, {bucket.burst:g} at once, and has made "
                f"more. Try again in {seconds} s.",
                limit="rate",
                wanted=bucket.rate,
                retry_after_seconds=seconds,
            )
        keys.accepted[name] += 1
        return name

    def look(self, headers: Mapping[bytes, bytes]) -> tuple[str | None, RequestError | None]:
        """What `enter` says: the name of the key, or the refusal."""
        try:
            return self.enter(headers), None
        except RequestError as error:
            return None, error

    def enter_metrics(self, headers: Mapping[bytes, bytes]) -> None:
        """RequestError(UNAUTHORIZED) where /metrics is for one key and this is another."""
        if self._metrics_key is not None and self._name(headers) != self._metrics_key:
            raise RequestError(ErrorCode.UNAUTHORIZED, "The metrics of this service are for another key.")

    def _name(self, headers: Mapping[bytes, bytes]) -> str:
        given = headers.get(b"authorization", b"")
        key = given[7:].strip() if given[:7].lower() == b"bearer " else headers.get(b"x-api-key", b"")
        found = self.keys.find(key)
        if found is not None:
            return found.name
        what = "the key that was sent is not one of them" if key else "none was sent"
        raise RequestError(
            ErrorCode.UNAUTHORIZED,
            f"This service answers to its keys only, and {what}. Send yours as Authorization: Bearer KEY, or as "
            "X-API-Key: KEY.",
        )


class KeyMetrics(Collector):
    """Requests by key. Its labels are the configured names, which nobody but the operator can choose."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "segserve_key_requests",
            "Requests by the name of their key: accepted, or limited (429: over its rate).",
            labels=["key", "result"],
        )
        for name in self._keys.names:
            requests.add_metric([name, "accepted"], self._keys.accepted[name])
            requests.add_metric([name, "limited"], self._keys.limited[name])
        yield requests
        yield GaugeMetricFamily("segserve_keys", "Keys that are let in.", len(self._keys))
        yield GaugeMetricFamily(
            "segserve_keys_reload_failed",
            "1 while the keys file cannot be used; the keys are those it had before.",
            float(self._keys.failed),
        )
