"""Sessions, and the status lists that revoke their access tokens."""

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table

from identity_service.storage.tables.columns import (
    KEYLESS,
    Id,
    ListName,
    Moment,
    RandomId,
    metadata,
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("id", RandomId, primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("client_id", String(64), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("device", String(255), nullable=False),
    Column("address", String(45), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("rotated_at", Moment, nullable=False),
    Column("idle_expires_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("ended_at", Moment),
    Column("end_reason", String(32)),
    Column("status_list", ListName),
    Column("status_idx", Integer),
    Column("token_expires_at", Moment),
    Column("authenticated_at", Moment),
    Column("methods", String(32)),
    Index("ix_sessions_user_id_live", "user_id", "ended_at", "idle_expires_at"),
    Index("ix_sessions_user_id_address", "user_id", "address"),
    Index("uq_sessions_status", "status_list", "status_idx", unique=True),
    **KEYLESS,
)
"""No foreign key names the user: deleting them would delete any number of rows in one
statement. The status entry is null until the next refresh wants one;
``token_expires_at`` is when the last access token that names it expires. How and when
somebody last proved who they are is null in rows of version 0005: by the password, when
the session was made.
"""

status_lists: Final = Table(
    "status_lists",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("leased", Integer, nullable=False),
    Column("permutation_key", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("name", ListName),
    Index("uq_status_lists_name", "name", unique=True),
    **KEYLESS,
)
"""A list without a name is called by its number, as version 0003 calls all of them."""

revoked_entries: Final = Table(
    "revoked_entries",
    metadata,
    Column("status_list", ListName, primary_key=True),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("until", Moment, nullable=False, index=True),
    **KEYLESS,
)
"""What published lists are made of. After ``until`` no token has the entry."""

access_tokens: Final = Table(
    "access_tokens",
    metadata,
    Column("list_id", Integer, primary_key=True, autoincrement=False),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("user_id", Id, nullable=False, index=True),
    Column("session_id", RandomId, nullable=False, index=True),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("revoked_at", Moment),
    Index("ix_access_tokens_list_id_revoked_at", "list_id", "revoked_at"),
    **KEYLESS,
)
"""One row per token that replicas of version 0003 know of. They make one for each token
they issue; this version, while they may be running, one for each session. A later
version drops the table.
"""

rollouts: Final = Table(
    "rollouts",
    metadata,
    Column("version", String(32), primary_key=True),
    Column("ends_at", Moment, nullable=False),
    **KEYLESS,
)
"""Until when replicas of the version before a version may run beside it."""
