"""The tables, as they are after the last migration.

This is the package's public face.
"""

from identity_service.storage.tables.audit import audit_events, audit_head
from identity_service.storage.tables.columns import OPTIONS, Moment, metadata
from identity_service.storage.tables.factors import (
    passkeys,
    recovery_codes,
    spent_challenges,
    totp_secrets,
)
from identity_service.storage.tables.mail import mail_requests, one_time_tokens, outbox
from identity_service.storage.tables.sessions import (
    access_tokens,
    revoked_entries,
    rollouts,
    sessions,
    status_lists,
)
from identity_service.storage.tables.signing_keys import signing_keys
from identity_service.storage.tables.users import (
    deleted_users,
    imported_lines,
    imported_users,
    pending_sign_ups,
    roles,
    user_roles,
    user_search_words,
    users,
)

__all__ = [
    "OPTIONS",
    "Moment",
    "access_tokens",
    "audit_events",
    "audit_head",
    "deleted_users",
    "imported_lines",
    "imported_users",
    "mail_requests",
    "metadata",
    "one_time_tokens",
    "outbox",
    "passkeys",
    "pending_sign_ups",
    "recovery_codes",
    "revoked_entries",
    "roles",
    "rollouts",
    "sessions",
    "signing_keys",
    "spent_challenges",
    "status_lists",
    "totp_secrets",
    "user_roles",
    "user_search_words",
    "users",
]
