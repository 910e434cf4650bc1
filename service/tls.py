"""TLS by uvicorn's own options, with certificates that may change while the service runs.

Certificates are renewed every few months or weeks. Where one of the files changes, a whole new context is made of all
of them, and connections that begin from then on get it: a certificate never stands beside the key of another one, and
an authority that is taken away counts no more. Files that cannot be used change nothing.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.changes import signature
from service.logs import log
from service.settings import Settings

__all__ = ["Certificates", "complaint"]

_REQUIREMENTS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class Certificates(Collector):
    """The context of connections that begin now, and whether its files could be used. On the event loop only."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        named = settings.ssl_certfile, settings.ssl_keyfile, settings.ssl_ca_certs
        self._paths = [path for path in named if path is not None]
        self._seen: object = None  # of the files: what tells a change
        self._make: Callable[[], ssl.SSLContext] | None = None
        self._context: ssl.SSLContext | None = None
        self.failed = False
        """Whether the files, as they are now, cannot be used; connections then get what there was before."""

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments for uvicorn.Config; none without a certificate."""
        settings = self._settings
        if settings.ssl_certfile is None:
            return {}
        return {
            "ssl_certfile": settings.ssl_certfile,
            "ssl_keyfile": settings.ssl_keyfile,
            "ssl_keyfile_password": settings.ssl_keyfile_password,
            "ssl_ca_certs": settings.ssl_ca_certs,
            "ssl_cert_reqs": _REQUIREMENTS[settings.ssl_cert_reqs],
            "ssl_context_factory": self.first,
        }

    def first(self, _: object, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """The context that the server listens with, made by uvicorn's `make`; each handshake goes over to the newest.

        OpenSSL calls back for every handshake, also for one that names no server.
        """
        self._seen, self._make = signature(*self._paths), make
        listening = self._context = make()

        def take_newest(link: ssl.SSLObject | ssl.SSLSocket, _: str | None, __: ssl.SSLContext) -> None:
            if self._context is not None and self._context is not listening:
                link.context = self._context

        listening.sni_callback = take_newest
        return listening

    def refresh(self) -> None:
        """Reads the files again where one has changed. What cannot be used changes nothing, but is told."""
        if self._make is None:
            return
        seen = signature(*self._paths)
        if seen == self._seen:
            return
        self._seen = seen
        # Looked at first: without a password OpenSSL would ask for one on the terminal.
        reason = complaint(self._settings)
        if reason is None:
            try:
                self._context = self._make()
            except (OSError, ssl.SSLError) as error:  # it has changed once more
                reason, self._seen = str(error), None
        self.failed = reason is not None
        if reason is None:
            log.info("certificates reloaded", extra={"fields": {"files": self._paths}})
        else:
            log.error("certificates not reloaded", extra={"fields": {"reason": reason}})

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "segserve_certificates_reload_failed",
            "1 while changed TLS files cannot be used; connections get the certificate from before.",
            float(self.failed),
        )


def complaint(settings: Settings) -> str | None:
    """Why these settings cannot be served with; None where they can."""
    if settings.ssl_certfile is None:
        given = [name for name in ("ssl_keyfile", "ssl_keyfile_password", "ssl_ca_certs") if getattr(settings, name)]
        if given or settings.ssl_cert_reqs != "none":
            name = given[0] if given else "ssl_cert_reqs"
            return f"SEGSERVE_{name.upper()} does nothing without SEGSERVE_SSL_CERTFILE"
        return None
    if settings.ssl_cert_reqs != "none" and settings.ssl_ca_certs is None:
        return (
            f"SEGSERVE_SSL_CERT_REQS={settings.ssl_cert_reqs} needs SEGSERVE_SSL_CA_CERTS, the authorities whose "
            "certificates callers may present"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = f"{settings.ssl_certfile} and {settings.ssl_keyfile or 'the key in it'}"
    # Without a password OpenSSL would ask for one on the terminal.
    password = settings.ssl_keyfile_password or ""
    try:
        context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, lambda: password)
        if settings.ssl_ca_certs is not None:
            files = settings.ssl_ca_certs
            context.load_verify_locations(files)
    except (OSError, ssl.SSLError) as error:
        return f"The certificate in {files} cannot be used: {error}"
    return None
