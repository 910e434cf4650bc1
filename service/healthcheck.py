"""`python -m service.healthcheck`: exit code 0 when the service on this machine answers /readyz, for HEALTHCHECK."""

from __future__ import annotations

import http.client
import os
import ssl
import sys

__all__ = ["main"]

EVERYWHERE = ("", "0.0.0.0", "::")


def main() -> int:
    """Asks the address of the SEGSERVE_ variables; standard library only, so that a check costs little."""
    host = os.environ.get("SEGSERVE_HOST", "")
    where = "127.0.0.1" if host in EVERYWHERE else host, int(os.environ.get("SEGSERVE_PORT", "8765"))
    try:
        context = _tls()
        connection = (
            http.client.HTTPConnection(*where, timeout=2)
            if context is None
            else http.client.HTTPSConnection(*where, timeout=2, context=context)
        )
        try:
            connection.request("GET", "/readyz")
            return 0 if connection.getresponse().status == http.client.OK else 1
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return 1


def _tls() -> ssl.SSLContext | None:
    """Where TLS is served: any certificate will do, since this machine asks itself and its name is not in it.

    Where callers must present one, the service's own is presented: it must be good for clients too.
    """
    certificate = os.environ.get("SEGSERVE_SSL_CERTFILE")
    if not certificate:
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if os.environ.get("SEGSERVE_SSL_CERT_REQS", "none") != "none":
        password = os.environ.get("SEGSERVE_SSL_KEYFILE_PASSWORD", "")
        context.load_cert_chain(certificate, os.environ.get("SEGSERVE_SSL_KEYFILE") or None, lambda: password)
    return context


if __name__ == "__main__":
    sys.exit(main())
