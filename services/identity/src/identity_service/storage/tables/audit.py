"""The audit log."""

from typing import Final

from sqlalchemy import Column, Integer, String, Table, Text

from identity_service.storage.tables.columns import KEYLESS, Id, Moment, metadata

audit_events: Final = Table(
    "audit_events",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False, index=True),
    Column("action", String(64), nullable=False, index=True),
    Column("actor_id", Id, index=True),
    Column("subject_id", Id, index=True),
    Column("address", String(45), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("details", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    **KEYLESS,
)

audit_head: Final = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last_event_id", Id, nullable=False),
    Column("last_hash", String(64), nullable=False),
    Column("first_previous_hash", String(64), nullable=False),
    **KEYLESS,
)
"""One row, locked by appending: where the chain of hashes starts and ends."""
