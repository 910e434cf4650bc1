"""Whether the settings let in whom they should: where others can reach the service, callers need keys."""

from __future__ import annotations

import ipaddress
import socket

from service.api_keys import ApiKeys, KeysError
from service.settings import Settings

__all__ = ["complaint", "is_loopback"]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address; a name that cannot be looked up does not count as such."""
    if not host:
        return False  # every address
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)


def complaint(settings: Settings) -> str | None:
    """Why the service must not start with these settings; None where it may."""
    try:
        keys = ApiKeys(settings.api_keys, settings.api_keys_file)
    except KeysError as error:
        return str(error)
    if settings.metrics_key is not None and settings.metrics_key not in keys.names:
        known = ", ".join(keys.names) or "none"
        return f"SEGSERVE_METRICS_KEY={settings.metrics_key} names no key; the keys are {known}"
    anonymous = not keys.required and settings.ssl_cert_reqs != "required"
    if anonymous and not settings.allow_anonymous and not is_loopback(settings.host):
        return (
            f"SEGSERVE_HOST={settings.host} can be reached from other machines, and nobody needs a key. Set "
            "SEGSERVE_API_KEYS_FILE or SEGSERVE_API_KEYS (`segserve key NAME` makes a key and its line), or say "
            "SEGSERVE_ALLOW_ANONYMOUS=true where something in front of the service decides who may call it"
        )
    return None
