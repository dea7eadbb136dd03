"""Users, their roles, and those who are yet to become users."""

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
)

from identity_service.storage.tables.columns import (
    KEYLESS,
    OPTIONS,
    Email,
    Id,
    Moment,
    RandomId,
    metadata,
)

users: Final = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("username", String(64), nullable=False),
    Column("username_key", String(191), nullable=False, unique=True),
    Column("email", Email, nullable=False),
    Column("email_key", Email, nullable=False, unique=True),
    Column("password_hash", String(255), nullable=False),
    Column("password_is_temporary", Boolean, nullable=False),
    Column("password_changed_at", Moment, nullable=False),
    Column("disabled_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("subject", String(22)),
    Column("email_verified_at", Moment),
    Column("deletion_due_at", Moment, index=True),
    Index("uq_users_subject", "subject", unique=True),
    **OPTIONS,
)
"""``subject`` is null until the first token, if a replica of version 0003 made the row.
"""

user_search_words: Final = Table(
    "user_search_words",
    metadata,
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("word", String(64), primary_key=True),
    Index("ix_user_search_words_word", "word", "user_id"),
    **KEYLESS,
)
"""What `domain.search` finds users by."""

roles: Final = Table(
    "roles",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("name", String(32), nullable=False, unique=True),
    Column("description", String(200), nullable=False, server_default=""),
    **KEYLESS,
)

user_roles: Final = Table(
    "user_roles",
    metadata,
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", ForeignKey("roles.id"), primary_key=True, index=True),
    **KEYLESS,
)

imported_users: Final = Table(
    "imported_users",
    metadata,
    Column("user_id", Id, primary_key=True, autoincrement=False),
    **KEYLESS,
)
"""Who was ever imported; kept, without a foreign key, when the account is deleted."""

imported_lines: Final = Table(
    "imported_lines",
    metadata,
    Column("digest", String(43), primary_key=True),
    **KEYLESS,
)
"""Users imported from lines, which have no id, by a digest. It covers the password
hash, whose salt prevents its reader from guessing the user."""

deleted_users: Final = Table(
    "deleted_users",
    metadata,
    Column("user_id", Id, primary_key=True, autoincrement=False),
    **KEYLESS,
)
"""Whose sessions, all of them ended, have yet to be removed."""

pending_sign_ups: Final = Table(
    "pending_sign_ups",
    metadata,
    Column("id", RandomId, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("username", String(64), nullable=False),
    Column("username_key", String(191), nullable=False),
    Column("email", Email, nullable=False),
    Column("email_key", Email, nullable=False, index=True),
    Column("password_hash", String(255), nullable=False),
    Column("roles", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Index("uq_pending_sign_ups_username_key", "username_key", unique=True),
    **KEYLESS,
)
"""Sign-ups whose address has yet to be verified. No account needs to follow: the
address may have one already, of which the response says nothing.
"""
