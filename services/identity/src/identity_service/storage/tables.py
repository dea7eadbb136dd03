"""The tables, as they are after the last migration.

What differs between the databases is written down here and in `database`, once:
text is compared byte by byte everywhere (SQLite's BINARY, utf8mb4_bin elsewhere),
moments are integers, because DATETIME loses microseconds on MariaDB and rounds
them on MySQL, and SQLite's row ids are told never to be given twice.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """An aware moment, stored as microseconds since the epoch."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(
        self, value: datetime | None, dialect: Dialect
    ) -> int | None:
        """Return the integer that is stored."""
        del dialect
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(
        self, value: int | None, dialect: Dialect
    ) -> datetime | None:
        """Return the moment that was stored."""
        del dialect
        return None if value is None else _EPOCH + value * _MICROSECOND


metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    }
)

_Id: Final = BigInteger().with_variant(Integer, "sqlite")
_SessionId: Final = String(32)
"""16 random bytes in hex."""

_RandomId: Final = String(32)
"""Likewise."""

_Email: Final = String(254)

_ListName: Final = String(22)
"""16 random bytes in base64url, or the number of a list without a name."""

OPTIONS: Final[dict[str, Any]] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (
        ("engine", "InnoDB"),
        ("charset", "utf8mb4"),
        ("collate", "utf8mb4_bin"),
    )
} | {"sqlite_autoincrement": True}
"""Options of every table with an integer key; SQLite never reuses its ids."""

_KEYLESS: Final = {
    name: value for name, value in OPTIONS.items() if not name.startswith("sqlite")
}
"""Options of the other tables."""

users: Final = Table(
    "users",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("username", String(64), nullable=False),
    Column("username_key", String(191), nullable=False, unique=True),
    Column("email", String(254), nullable=False),
    Column("email_key", String(254), nullable=False, unique=True),
    Column("password_hash", String(255), nullable=False),
    Column("password_is_temporary", Boolean, nullable=False),
    Column("password_changed_at", Moment, nullable=False),
    Column("disabled_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("subject", String(22)),
    Column("email_verified_at", Moment),
    Column("deletion_due_at", Moment),
    Index("uq_users_subject", "subject", unique=True),
    Index("ix_users_deletion_due_at", "deletion_due_at"),
    **OPTIONS,
)
"""``subject`` is null until the first token, if a replica of version 0003 made the row.
"""

user_search_words: Final = Table(
    "user_search_words",
    metadata,
    Column(
        "user_id", _Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("word", String(64), primary_key=True),
    Index("ix_user_search_words_word", "word", "user_id"),
    **_KEYLESS,
)
"""What `domain.search` finds users by."""

roles: Final = Table(
    "roles",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("name", String(32), nullable=False, unique=True),
    Column("description", String(200), nullable=False, server_default=""),
    **_KEYLESS,
)

user_roles: Final = Table(
    "user_roles",
    metadata,
    Column(
        "user_id", _Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("role_id", ForeignKey("roles.id"), primary_key=True, index=True),
    **_KEYLESS,
)

imported_users: Final = Table(
    "imported_users",
    metadata,
    Column("user_id", _Id, primary_key=True, autoincrement=False),
    **_KEYLESS,
)
"""Who was ever imported; kept, without a foreign key, when the account is deleted."""

imported_lines: Final = Table(
    "imported_lines",
    metadata,
    Column("digest", String(43), primary_key=True),
    **_KEYLESS,
)
"""Likewise, of users who came as lines and have no id to be known by. A digest covers
the password hash, whose salt keeps whoever reads it from guessing who it was."""

sessions: Final = Table(
    "sessions",
    metadata,
    Column("id", _SessionId, primary_key=True),
    Column("user_id", _Id, nullable=False),
    Column("client_id", String(64), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("device", String(255), nullable=False),
    Column("address", String(45), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("rotated_at", Moment, nullable=False),
    Column("idle_expires_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("end_reason", String(32)),
    Column("status_list", _ListName),
    Column("status_idx", Integer),
    Column("token_expires_at", Moment),
    Column("authenticated_at", Moment),
    Column("methods", String(32)),
    Index("ix_sessions_expires_at", "expires_at"),
    Index("ix_sessions_user_id_live", "user_id", "ended_at", "idle_expires_at"),
    Index("ix_sessions_user_id_address", "user_id", "address"),
    Index("uq_sessions_status", "status_list", "status_idx", unique=True),
    **_KEYLESS,
)
"""No foreign key names the user: deleting them would delete any number of rows in one
statement. The status entry is null until the next refresh wants one;
``token_expires_at`` is when the last access token that names it expires. How and when
somebody last proved who they are is null in rows of version 0005: by the password, when
the session was made.
"""

totp_secrets: Final = Table(
    "totp_secrets",
    metadata,
    Column(
        "user_id",
        _Id,
        ForeignKey("users.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("confirmed_at", Moment),
    **_KEYLESS,
)
"""What authenticator apps make codes of. Codes of ``last_step`` and before are spent;
until the first code has confirmed it, nobody is asked for one.
"""

recovery_codes: Final = Table(
    "recovery_codes",
    metadata,
    Column(
        "user_id", _Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("code_hash", String(64), primary_key=True),
    **_KEYLESS,
)
"""One row per code that was not used."""

passkeys: Final = Table(
    "passkeys",
    metadata,
    Column("id", String(43), primary_key=True),
    Column(
        "user_id",
        _Id,
        ForeignKey("users.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("credential_id", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("may_be_backed_up", Boolean, nullable=False),
    Column("is_backed_up", Boolean, nullable=False),
    Column("name", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("last_used_at", Moment),
    **_KEYLESS,
)
"""``id`` is made of the credential id, which is too long for an index."""

spent_challenges: Final = Table(
    "spent_challenges",
    metadata,
    Column("digest", String(43), primary_key=True),
    Column("expires_at", Moment, nullable=False, index=True),
    **_KEYLESS,
)
"""Challenges that served once. Nothing is stored of the others."""

status_lists: Final = Table(
    "status_lists",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("leased", Integer, nullable=False),
    Column("permutation_key", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("name", _ListName),
    Index("uq_status_lists_name", "name", unique=True),
    **_KEYLESS,
)
"""A list without a name is called by its number, as version 0003 calls all of them."""

revoked_entries: Final = Table(
    "revoked_entries",
    metadata,
    Column("status_list", _ListName, primary_key=True),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("until", Moment, nullable=False, index=True),
    **_KEYLESS,
)
"""What published lists are made of. After ``until`` no token has the entry."""

deleted_users: Final = Table(
    "deleted_users",
    metadata,
    Column("user_id", _Id, primary_key=True, autoincrement=False),
    **_KEYLESS,
)
"""Whose sessions, all of them ended, have yet to be removed."""

rollouts: Final = Table(
    "rollouts",
    metadata,
    Column("version", String(32), primary_key=True),
    Column("ends_at", Moment, nullable=False),
    **_KEYLESS,
)
"""Until when replicas of the version before a version may run beside it."""

access_tokens: Final = Table(
    "access_tokens",
    metadata,
    Column("list_id", Integer, primary_key=True, autoincrement=False),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("user_id", _Id, nullable=False, index=True),
    Column("session_id", _SessionId, nullable=False, index=True),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("revoked_at", Moment),
    Index("ix_access_tokens_list_id_revoked_at", "list_id", "revoked_at"),
    **_KEYLESS,
)
"""One row per token that replicas of version 0003 know of. They make one for each token
they issue; this version, while they may be running, one for each session. A later
version drops the table.
"""

outbox: Final = Table(
    "outbox",
    metadata,
    Column("id", _RandomId, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("user_id", _Id),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("due_at", Moment),
    Column("dead_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("error", String(200), nullable=False),
    Index("ix_outbox_due_at", "due_at"),
    Index("ix_outbox_dead_at", "dead_at"),
    Index("ix_outbox_user_id", "user_id"),
    **_KEYLESS,
)
"""Mail that has not been sent. Whoever sends it moves ``due_at`` ahead first, so that
others leave it alone meanwhile. Dead letters have ``dead_at`` and no ``due_at``.
"""

mail_requests: Final = Table(
    "mail_requests",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("email_key", _Email, nullable=False),
    Column("language", String(8), nullable=False),
    Column("address", String(45), nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("ix_mail_requests_created_at", "created_at"),
    **OPTIONS,
)
"""What strangers ask to be sent to an address; nobody has looked whose it is."""

one_time_tokens: Final = Table(
    "one_time_tokens",
    metadata,
    Column("id", _RandomId, primary_key=True),
    Column("purpose", String(24), nullable=False),
    Column("user_id", _Id, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("email", _Email, nullable=False),
    Column("email_key", _Email, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("about", String(64)),
    Index("ix_one_time_tokens_user_id", "user_id"),
    Index("ix_one_time_tokens_email_key", "email_key"),
    Index("ix_one_time_tokens_expires_at", "expires_at"),
    **_KEYLESS,
)
"""The address is the one that the token is about, which may not be the user's; `about`
is what it undoes besides."""

pending_sign_ups: Final = Table(
    "pending_sign_ups",
    metadata,
    Column("id", _RandomId, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("username", String(64), nullable=False),
    Column("username_key", String(191), nullable=False),
    Column("email", _Email, nullable=False),
    Column("email_key", _Email, nullable=False),
    Column("password_hash", String(255), nullable=False),
    Column("roles", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Index("uq_pending_sign_ups_username_key", "username_key", unique=True),
    Index("ix_pending_sign_ups_email_key", "email_key"),
    Index("ix_pending_sign_ups_expires_at", "expires_at"),
    **_KEYLESS,
)
"""Sign-ups whose address has yet to be verified. No account needs to follow: the
address may have one already, of which the response says nothing.
"""

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
    **_KEYLESS,
)
"""``slot`` is ``next``, ``active`` or null: the unique index settles every race."""

audit_events: Final = Table(
    "audit_events",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("action", String(64), nullable=False),
    Column("actor_id", _Id),
    Column("subject_id", _Id),
    Column("address", String(45), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("details", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_events_at", "at"),
    Index("ix_audit_events_actor_id", "actor_id"),
    Index("ix_audit_events_subject_id", "subject_id"),
    Index("ix_audit_events_action", "action"),
    **_KEYLESS,
)

audit_head: Final = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last_event_id", _Id, nullable=False),
    Column("last_hash", String(64), nullable=False),
    Column("first_previous_hash", String(64), nullable=False),
    **_KEYLESS,
)
"""One row, locked by whoever appends: where the chain of hashes starts and ends."""
