"""`python -m service.healthcheck`: exit code 0 when the service on this machine answers /readyz, for HEALTHCHECK."""

from __future__ import annotations

import http.client
import os
import sys

__all__ = ["main"]


def main() -> int:
    """Asks the port of SEGSERVE_PORT; standard library only, so that a check costs little."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("SEGSERVE_PORT", "8765")), timeout=2)
    try:
        connection.request("GET", "/readyz")
        return 0 if connection.getresponse().status == http.client.OK else 1
    except OSError:
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
