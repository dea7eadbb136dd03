"""Certificates for tests of TLS: self-signed, or of an authority of the test's own."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def write_certificate(
    folder: Path, common_name: str, *, lasts: timedelta = timedelta(hours=1)
) -> tuple[Path, Path]:
    """Write `certificate.pem` and `key.pem` for a name; return their paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + lasts)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    paths[1].chmod(0o600)
    return paths


def write_authority(folder: Path, *addresses: str) -> tuple[Path, Path, Path]:
    """Write an authority's certificate, and one it gives to addresses, with its key.

    Returns the paths of `authority.pem`, `server.pem` and `server-key.pem`.
    """
    now = datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)])
        for each in ("Authority", "Server")
    ]
    identifiers = [
        x509.SubjectKeyIdentifier.from_public_key(k.public_key()) for k in keys
    ]
    paths = folder / "authority.pem", folder / "server.pem", folder / "server-key.pem"
    for place in (0, 1):
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[place])
            .issuer_name(names[0])
            .public_key(keys[place].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(
                x509.BasicConstraints(ca=place == 0, path_length=None), critical=True
            )
            .add_extension(identifiers[place], critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                    identifiers[0]
                ),
                critical=False,
            )
        )
        if place == 1:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(
                    [x509.IPAddress(ip_address(each)) for each in addresses]
                ),
                critical=False,
            )
        certificate = builder.sign(keys[0], hashes.SHA256())
        paths[place].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[2].write_bytes(
        keys[1].private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
