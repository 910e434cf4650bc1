"""TLS and mutual TLS over a real socket, large bodies included, with certificates made for the test."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
import trustme

from tests.wire.server import ARROW, Server, running, stream_of, table_of
from tests.wire.shop import SHOP, post, shop

ROOT = Path(__file__).resolve().parents[2]
BODY = stream_of(SHOP)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def settings(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return {
        "ssl_certfile": str(folder / "cert.pem"),
        "ssl_keyfile": str(folder / "key.pem"),
        "ssl_ca_certs": str(folder / "ca.pem"),
    }


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def mutual(authority: trustme.CA, settings: dict[str, str]) -> Iterator[Server]:
    with running(scheme="https", context=_presenting(authority), threads=1, ssl_cert_reqs="required", **settings) as s:
        yield s


def _presenting(authority: trustme.CA) -> ssl.SSLContext:
    context = trusting(authority)
    authority.issue_cert("shop@example.org").configure_cert(context)
    return context


def test_a_large_body_and_a_large_reply(mutual: Server, authority: trustme.CA) -> None:
    table = shop(60_000, 200_000)
    body = stream_of(table, max_rows=20_000)
    assert len(body) > 1 << 20
    with httpx.Client(base_url=mutual.url, verify=_presenting(authority), timeout=60) as client:
        replies = [post(client, "segment", body, k=3, chunked=chunked) for chunked in (False, True, False)]
        assert len({pa.ipc.open_stream(reply.content).read_all().num_rows for reply in replies}) == 1
        assert table_of(replies[0]).equals(table_of(replies[1]))
        assert len(replies[0].content) > 1 << 20
        # Small ones on the same connection, the next already on its way.
        assert [post(client, "segment", BODY, k=3).status_code for _ in range(3)] == [200] * 3


def test_without_a_certificate_nobody_is_heard(mutual: Server, authority: trustme.CA) -> None:
    stranger = trusting(authority)
    trustme.CA().issue_cert("shop@example.org").configure_cert(stranger)
    for context in (trusting(authority), stranger):
        with httpx.Client(base_url=mutual.url, verify=context) as client, pytest.raises(httpx.TransportError):
            client.get("/healthz")
    with pytest.raises(httpx.TransportError):
        httpx.get(mutual.url.replace("https", "http") + "/healthz")


def test_one_way_tls_and_the_health_check(authority: trustme.CA, settings: dict[str, str], mutual: Server) -> None:
    own = {name: value for name, value in settings.items() if name != "ssl_ca_certs"}
    with running(scheme="https", context=trusting(authority), threads=1, **own) as service:
        with httpx.Client(base_url=service.url, verify=trusting(authority)) as client:
            reply = client.post("/v1/segment?k=3", content=BODY, headers={"Content-Type": ARROW})
            assert table_of(reply).num_rows > 0
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{service.url}/healthz")  # an authority that nobody knows
        assert checked(service.port, **own) == 0
        assert checked(service.port) == 1  # plain HTTP
        assert service.stop() == 0
        assert checked(service.port, **own) == 1
    assert checked(mutual.port, **settings, ssl_cert_reqs="required") == 0
    assert checked(mutual.port, **own) == 1


def test_renewed_certificates_count_without_a_restart(authority: trustme.CA, tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.pem" for name in ("ssl_certfile", "ssl_keyfile")}

    def write(certificate: trustme.LeafCert) -> None:
        certificate.cert_chain_pems[0].write_to_path(files["ssl_certfile"])
        certificate.private_key_pem.write_to_path(files["ssl_keyfile"])

    def answers(trusted: trustme.CA) -> bool:
        try:
            return httpx.get(f"{service.url}/healthz", verify=trusting(trusted)).status_code == 200
        except httpx.TransportError:
            return False

    write(authority.issue_cert("127.0.0.1"))
    renewed = trustme.CA()
    both = trusting(authority)
    renewed.configure_trust(both)
    with running(scheme="https", context=both, threads=1, ready=False, **files) as service:
        with httpx.Client(base_url=service.url, verify=trusting(authority)) as early:
            assert early.get("/healthz").status_code == 200
            write(renewed.issue_cert("127.0.0.1"))
            service.wait_until(lambda: answers(renewed), 30)
            assert not answers(authority)
            assert early.get("/healthz").status_code == 200  # a connection keeps what it began with
        files["ssl_keyfile"].write_text("no key at all")
        service.wait_until(lambda: service.metrics()["segserve_certificates_reload_failed"] == 1, 30)
        assert answers(renewed)
        write(renewed.issue_cert("127.0.0.1"))
        service.wait_until(lambda: service.metrics()["segserve_certificates_reload_failed"] == 0, 30)
        assert answers(renewed)
    events = [entry["event"] for entry in service.log]
    assert "certificates reloaded" in events
    assert "certificates not reloaded" in events


def checked(port: int, **settings: str) -> int:
    """The exit code of the health check of a container with these settings."""
    variables = {f"SEGSERVE_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "service.healthcheck"],
        cwd=ROOT,
        env={**os.environ, **variables, "SEGSERVE_PORT": str(port), "SEGSERVE_HOST": "0.0.0.0"},
        check=False,
    ).returncode


def test_a_certificate_that_cannot_be_used_is_told(settings: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service"],
        cwd=ROOT,
        env={**os.environ, "SEGSERVE_SSL_CERTFILE": settings["ssl_keyfile"], "SEGSERVE_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "key.pem" in done.stderr
