"""Signing keys."""

from typing import Final

from sqlalchemy import Column, LargeBinary, String, Table, Text

from identity_service.storage.tables.columns import KEYLESS, Moment, metadata

signing_keys: Final = Table(
    "signing_keys",
    metadata,
    Column("kid", String(43), primary_key=True),
    Column("slot", String(8), unique=True),
    Column("public_jwk", Text, nullable=False),
    Column("sealed_private_key", LargeBinary),
    Column("published_at", Moment, nullable=False),
    Column("activated_at", Moment),
    Column("retired_at", Moment),
    Column("expires_at", Moment),
    **KEYLESS,
)
"""``slot`` is ``next``, ``active`` or null: the unique index settles every race."""
