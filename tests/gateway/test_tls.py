import asyncio
import os
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from tests.support.certificates import write_certificate
from tests.support.gateway import config_for, running_gateway

from gateway_service.config.clients import TlsConfig
from gateway_service.operations.tls import Certificate, KeyPair, fault_of


@pytest.fixture
def config(tmp_path: Path) -> TlsConfig:
    certificate, key = write_certificate(tmp_path, "first.test")
    return TlsConfig(str(certificate), str(key))


def shown_by(context: ssl.SSLContext, *, newest: ssl.TLSVersion | None = None) -> str:
    """Shake hands once and return the common name of the certificate shown."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            context.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    server = threading.Thread(target=serve)
    server.start()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    if newest is not None:
        client.set_ciphers("ALL:@SECLEVEL=0")
        client.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        client.maximum_version = newest
    try:
        with client.wrap_socket(ours) as connection:
            shown = connection.getpeercert(binary_form=True)
    finally:
        ours.close()
        server.join()
    assert shown is not None
    name = x509.load_der_x509_certificate(shown).subject.get_attributes_for_oid(
        x509.NameOID.COMMON_NAME
    )[0]
    return str(name.value)


def test_new_handshakes_see_the_exchanged_certificate(
    config: TlsConfig, tmp_path: Path
) -> None:
    certificate = Certificate(config)
    before = certificate.context
    assert shown_by(before) == "first.test"
    assert not certificate.reload_if_changed()

    write_certificate(tmp_path, "second.test")

    assert certificate.reload_if_changed()
    assert shown_by(certificate.context) == "second.test"
    assert shown_by(before) == "first.test", "a handshake that has begun goes on"


async def test_a_gateway_shows_the_exchanged_certificate(
    config: TlsConfig, tmp_path: Path
) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    shown = []
    async with running_gateway(config_for(1, tls=config), tmp_path) as gateway:
        for name in ("first.test", "second.test"):
            await asyncio.to_thread(write_certificate, tmp_path, name)
            await gateway.app.reload()
            _, writer = await asyncio.open_connection(
                "127.0.0.1", gateway.port, ssl=trusting
            )
            secure = writer.get_extra_info("ssl_object")
            shown.append(secure.getpeercert(binary_form=True))
            writer.close()
    assert len(set(shown)) == 2


def test_when_it_expires_is_read_once_from_each_certificate(
    config: TlsConfig, tmp_path: Path
) -> None:
    certificate = Certificate(config)
    first = certificate.expires_at
    assert certificate.expires_at is first
    write_certificate(tmp_path, "second.test", lasts=timedelta(days=400))
    assert certificate.reload_if_changed()
    assert certificate.expires_at - first > timedelta(days=30)


def test_half_exchanged_pair_is_left_until_it_fits(
    config: TlsConfig, tmp_path: Path
) -> None:
    certificate = Certificate(config)
    old_key = Path(config.key).read_bytes()
    write_certificate(tmp_path, "second.test")
    new_key = Path(config.key).read_bytes()

    Path(config.key).write_bytes(old_key)
    assert not certificate.reload_if_changed()
    assert shown_by(certificate.context) == "first.test"

    Path(config.key).write_bytes(new_key)
    assert certificate.reload_if_changed()
    assert shown_by(certificate.context) == "second.test"


@pytest.mark.parametrize("content", [b"", b"no certificate"])
def test_broken_file_leaves_the_present_certificate(
    config: TlsConfig, content: bytes
) -> None:
    certificate = Certificate(config)

    Path(config.certificate).write_bytes(content)

    assert not certificate.reload_if_changed()
    assert shown_by(certificate.context) == "first.test"


def test_file_that_is_gone_leaves_the_present_certificate(
    config: TlsConfig, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = Certificate(config)

    Path(config.key).unlink()

    assert not certificate.reload_if_changed()
    assert shown_by(certificate.context) == "first.test"
    [record] = caplog.records
    assert vars(record)["error"] == (
        f"{config.key}: cannot be loaded: No such file or directory"
    )


def test_pipe_in_place_of_a_file_is_not_awaited(config: TlsConfig) -> None:
    certificate = Certificate(config)

    Path(config.key).unlink()
    os.mkfifo(config.key)

    assert not certificate.reload_if_changed()
    with pytest.raises(OSError, match="it is not a regular file"):
        Certificate(config)


def key_in_pem(key: PrivateKeyTypes, password: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        pytest.param(b"", "is not what it should be, in PEM", id="empty"),
        pytest.param(b"no key", "is not what it should be, in PEM", id="no PEM"),
        pytest.param(
            key_in_pem(ec.generate_private_key(ec.SECP256R1())),
            "the key is not the certificate's",
            id="another one's",
        ),
        pytest.param(
            key_in_pem(ec.generate_private_key(ec.SECP256R1()), b"secret"),
            "the key has a password",
            id="encrypted",
        ),
    ],
)
def test_certificate_that_cannot_be_loaded_is_an_error_at_start(
    config: TlsConfig, key: bytes, words: str
) -> None:
    Path(config.key).write_bytes(key)

    with pytest.raises(OSError, match=words) as caught:
        Certificate(config)
    fault = fault_of(config, caught.value)
    assert fault.startswith(f"{config.certificate}: cannot be loaded: ")
    assert fault.endswith(words)


def test_good_pem_that_openssl_refuses_is_an_error_with_its_reason(
    config: TlsConfig,
) -> None:
    """As one with a weak signature is; keys that only agree sign no handshake."""
    key = x25519.X25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )

    with pytest.raises(OSError, match="refuses it: UNKNOWN_CERTIFICATE_TYPE"):
        Certificate(config, KeyPair(certificate, key_in_pem(key)))


def test_ciphers_are_authenticated_and_have_forward_secrecy(config: TlsConfig) -> None:
    for each in Certificate(config).context.get_ciphers():
        assert each["aead"], each["name"]
        assert each["kea"] in {"kx-ecdhe", "kx-any"}, each["name"]


def test_protocols_older_than_1_2_are_refused(config: TlsConfig) -> None:
    context = Certificate(config).context

    assert shown_by(context, newest=ssl.TLSVersion.TLSv1_2) == "first.test"
    with (
        pytest.warns(DeprecationWarning, match="TLSv1"),
        pytest.raises(OSError, match=r".+"),
    ):
        shown_by(context, newest=ssl.TLSVersion.TLSv1_1)
