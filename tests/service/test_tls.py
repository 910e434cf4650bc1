"""TLS settings: what uvicorn is told, what is wrong before it is, and certificates that change."""

from __future__ import annotations

import itertools
import os
import ssl
from pathlib import Path

import pytest
import trustme
import uvicorn
from cryptography.hazmat.primitives import serialization

from service.settings import Settings
from service.tls import Certificates, complaint


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
    assert Certificates(Settings()).options == {}
    assert complaint(Settings()) is None


def test_a_certificate_and_its_key(files: dict[str, str]) -> None:
    for settings in (
        Settings(ssl_certfile=files["both"]),
        Settings(ssl_certfile=files["cert"], ssl_keyfile=files["key"]),
        Settings(ssl_certfile=files["both"], ssl_ca_certs=files["ca"], ssl_cert_reqs="required"),
    ):
        assert complaint(settings) is None
    told = Certificates(settings).options
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


class Renewed:
    """A service's files under mutual TLS, and the certificates that uvicorn's configuration makes of them."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.folder = folder
        self.write(self.authority)
        names = {f"ssl_{name}": str(folder / f"{name}.pem") for name in ("certfile", "keyfile", "ca_certs")}
        settings = Settings(ssl_cert_reqs="required", **names)  # type: ignore[arg-type]
        self.certificates = Certificates(settings)
        config = uvicorn.Config("none:none", log_config=None, **self.certificates.options)
        config.load_app = lambda: None  # type: ignore[method-assign, assignment, return-value]
        config.load()
        assert config.ssl is not None
        self.listening = config.ssl

    def write(self, authority: trustme.CA) -> None:
        """A new certificate of this authority, who is also the one whose callers are let in."""
        certificate = authority.issue_cert("localhost")
        contents = {
            "certfile": certificate.cert_chain_pems[0],
            "keyfile": certificate.private_key_pem,
            "ca_certs": authority.cert_pem,
        }
        for name, blob in contents.items():
            fresh = self.folder / f"{name}.new"
            blob.write_to_path(fresh)
            os.replace(fresh, self.folder / f"{name}.pem")

    def greets(self, trusted: trustme.CA, caller: trustme.CA, name: str | None = None) -> bool:
        """Whether a caller of one authority, who trusts another one, gets a connection."""
        context = ssl.create_default_context()
        context.check_hostname = name is not None
        trusted.configure_trust(context)
        caller.issue_cert("shop@example.org").configure_cert(context)
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(back, there, server_hostname=name)
        server = self.listening.wrap_bio(there, back, server_side=True)
        done = {client: False, server: False}
        try:
            for _, end in itertools.product(range(4), done):
                try:
                    end.do_handshake()
                    done[end] = True
                except ssl.SSLWantReadError:
                    pass
        except ssl.SSLError:
            return False
        return all(done.values())


@pytest.fixture
def renewed(tmp_path: Path) -> Renewed:
    return Renewed(tmp_path)


@pytest.mark.parametrize("name", ["localhost", None])
def test_renewed_files_count_for_new_connections(renewed: Renewed, name: str | None) -> None:
    old, new = renewed.authority, trustme.CA()
    assert renewed.greets(old, old, name)
    renewed.write(new)
    assert renewed.greets(old, old, name)
    renewed.certificates.refresh()
    assert renewed.greets(new, new, name)
    assert not renewed.greets(old, new, name)
    assert not renewed.greets(new, old, name)  # an authority that was taken away lets nobody in
    newest = trustme.CA()
    renewed.write(newest)
    renewed.certificates.refresh()
    assert renewed.greets(newest, newest, name)
    assert not renewed.certificates.failed


@pytest.mark.parametrize("part", ["certfile", "keyfile", "ca_certs"])
@pytest.mark.parametrize("content", ["no certificate", None, "of another"])
def test_files_that_cannot_be_used_change_nothing(
    renewed: Renewed, part: str, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    if (part, content) == ("ca_certs", "of another"):
        content = ""
    file = renewed.folder / f"{part}.pem"
    if content == "of another":  # half of a renewal: certificate and key do not fit
        kept = {path: path.read_bytes() for path in renewed.folder.glob("*.pem") if path != file}
        renewed.write(renewed.authority)
        for path, text in kept.items():
            path.write_bytes(text)
    elif content is None:
        file.unlink()
    else:
        file.write_text(content)
    with caplog.at_level("ERROR", logger="segserve"):
        renewed.certificates.refresh()
        renewed.certificates.refresh()
    assert [record.message for record in caplog.records] == ["certificates not reloaded"]  # once for each change
    assert renewed.certificates.failed
    assert renewed.greets(renewed.authority, renewed.authority)
    (metric,) = renewed.certificates.collect()
    assert metric.samples[0].value == 1
    renewed.write(renewed.authority)
    renewed.certificates.refresh()
    assert not renewed.certificates.failed
    assert renewed.greets(renewed.authority, renewed.authority)


def test_nothing_is_made_anew_while_nothing_changes(renewed: Renewed, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="segserve"):
        renewed.certificates.refresh()
        Certificates(Settings()).refresh()
    assert not caplog.records
