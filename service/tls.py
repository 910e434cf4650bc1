"""TLS by uvicorn's own options: which of them the settings ask for, and what is wrong with them."""

from __future__ import annotations

import ssl
from typing import Any

from service.settings import Settings

__all__ = ["complaint", "options"]

_REQUIREMENTS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


def options(settings: Settings) -> dict[str, Any]:
    """The keyword arguments for uvicorn.Config; none without a certificate."""
    if settings.ssl_certfile is None:
        return {}
    return {
        "ssl_certfile": settings.ssl_certfile,
        "ssl_keyfile": settings.ssl_keyfile,
        "ssl_keyfile_password": settings.ssl_keyfile_password,
        "ssl_ca_certs": settings.ssl_ca_certs,
        "ssl_cert_reqs": _REQUIREMENTS[settings.ssl_cert_reqs],
    }


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
