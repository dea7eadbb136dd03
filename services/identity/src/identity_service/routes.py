"""Every operation of the service, module by module."""

from typing import Final

from identity_service.handlers import (
    audit,
    email_addresses,
    factors,
    keys,
    leaving,
    mailbox,
    me,
    metadata,
    oauth,
    operating,
    passkeys,
    password_resets,
    roles,
    sessions,
    sign_in_codes,
    status_lists,
    users,
)
from service_kit.operations import Operation, operations_in

OPERATIONS: Final[tuple[Operation, ...]] = operations_in(
    (
        *(me, sessions, sign_in_codes, factors, passkeys),
        *(leaving, password_resets, email_addresses, users, roles, audit),
        *(operating, status_lists, keys, metadata, oauth, mailbox),
    )
)
