"""Mail, and the tokens that travel by it."""

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table

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
    Column("user_id", Id),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("due_at", Moment),
    Column("dead_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("error", String(200), nullable=False),
    Index("ix_outbox_due_at", "due_at"),
    Index("ix_outbox_dead_at", "dead_at"),
    Index("ix_outbox_user_id", "user_id"),
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
    Column("created_at", Moment, nullable=False),
    Index("ix_mail_requests_created_at", "created_at"),
    **OPTIONS,
)
"""Requests for mail to an address, which may belong to no user."""

one_time_tokens: Final = Table(
    "one_time_tokens",
    metadata,
    Column("id", RandomId, primary_key=True),
    Column("purpose", String(24), nullable=False),
    Column("user_id", Id, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("email", Email, nullable=False),
    Column("email_key", Email, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("about", String(64)),
    Index("ix_one_time_tokens_user_id", "user_id"),
    Index("ix_one_time_tokens_email_key", "email_key"),
    Index("ix_one_time_tokens_expires_at", "expires_at"),
    **KEYLESS,
)
"""The address is the one that the token is about, which may not be the user's; `about`
is what it undoes besides."""
