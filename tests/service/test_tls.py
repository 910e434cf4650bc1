"""TLS settings: what uvicorn is told, and what is wrong before it is."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from service.settings import Settings
from service.tls import complaint, options


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    (folder / "broken.pem").write_text("no certificate")
    return {path.stem: str(path) for path in folder.iterdir()}


def test_plain_http_by_default() -> None:
    assert options(Settings()) == {}
    assert complaint(Settings()) is None


def test_a_certificate_and_its_key(files: dict[str, str]) -> None:
    for settings in (
        Settings(ssl_certfile=files["both"]),
        Settings(ssl_certfile=files["cert"], ssl_keyfile=files["key"]),
        Settings(ssl_certfile=files["both"], ssl_ca_certs=files["ca"], ssl_cert_reqs="required"),
    ):
        assert complaint(settings) is None
    told = options(settings)
    assert (told["ssl_certfile"], told["ssl_ca_certs"]) == (files["both"], files["ca"])
    assert told["ssl_cert_reqs"] == ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ssl_keyfile": "key"}, "SEGSERVE_SSL_KEYFILE does nothing"),
        ({"ssl_cert_reqs": "required"}, "SEGSERVE_SSL_CERT_REQS does nothing"),
        ({"ssl_certfile": "both", "ssl_cert_reqs": "optional"}, "SEGSERVE_SSL_CA_CERTS"),
        ({"ssl_certfile": "cert"}, "cannot be used"),
        ({"ssl_certfile": "broken"}, "broken.pem"),
        ({"ssl_certfile": "none"}, "No such file"),
        ({"ssl_certfile": "both", "ssl_ca_certs": "broken"}, "broken.pem"),
    ],
)
def test_what_cannot_be_served_with_is_told(files: dict[str, str], settings: dict[str, str], said: str) -> None:
    paths = {name: files.get(value, value) for name, value in settings.items()}
    assert said in (complaint(Settings(**paths)) or "")  # type: ignore[arg-type]


def test_a_key_with_a_password(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    certificate = trustme.CA().issue_cert("localhost")
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    hidden = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"sesame"),
    )
    (tmp_path / "key.pem").write_bytes(hidden)
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    files = {"ssl_certfile": str(tmp_path / "cert.pem"), "ssl_keyfile": str(tmp_path / "key.pem")}
    assert complaint(Settings(**files, ssl_keyfile_password="sesame")) is None  # type: ignore[arg-type]
    assert complaint(Settings(**files)) is not None  # type: ignore[arg-type]
