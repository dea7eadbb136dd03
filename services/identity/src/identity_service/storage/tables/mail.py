"""Mail, and the tokens that travel by it."""

from typing import Final

from sqlalchemy import Column, Integer, LargeBinary, String, Table

from identity_service.storage.tables.columns import (
    KEYLESS,
    OPTIONS,
    Email,
    Id,
    Moment,
    RandomId,
    metadata,
)

outbox: Final = Table(
    "outbox",
    metadata,
    Column("id", RandomId, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("user_id", Id, index=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("due_at", Moment, index=True),
    Column("dead_at", Moment, index=True),
    Column("attempts", Integer, nullable=False),
    Column("error", String(200), nullable=False),
    **KEYLESS,
)
"""Mail that has not been sent. The sender first moves ``due_at`` ahead, so that
other processes leave it alone. Dead letters have ``dead_at`` and no ``due_at``.
"""

mail_requests: Final = Table(
    "mail_requests",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("email_key", Email, nullable=False),
    Column("language", String(8), nullable=False),
    Column("address", String(45), nullable=False),
    Column("created_at", Moment, nullable=False, index=True),
    **OPTIONS,
)
"""Requests for mail to an address, which may belong to no user."""

one_time_tokens: Final = Table(
    "one_time_tokens",
    metadata,
    Column("id", RandomId, primary_key=True),
    Column("purpose", String(24), nullable=False),
    Column("user_id", Id, nullable=False, index=True),
    Column("digest", LargeBinary, nullable=False),
    Column("email", Email, nullable=False),
    Column("email_key", Email, nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("about", String(64)),
    **KEYLESS,
)
"""The address is the one that the token is about, which may not be the user's; `about`
is what it undoes besides."""
