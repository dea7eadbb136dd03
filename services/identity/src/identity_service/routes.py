"""Every operation of the service, module by module."""

from typing import Final

from identity_service.handlers.accounts import (
    email_addresses,
    leaving,
    mailbox,
    me,
    password_resets,
    sessions,
    sign_in_codes,
)
from identity_service.handlers.administration import operating, roles, users
from identity_service.handlers.factors import factors, passkeys
from identity_service.handlers.tokens import discovery, oauth, status_lists
from service_kit.operations import Operation, operations_in

OPERATIONS: Final[tuple[Operation, ...]] = operations_in(
    (
        *(me, sessions, sign_in_codes, factors, passkeys),
        *(leaving, password_resets, email_addresses, users, roles, operating),
        *(status_lists, discovery, oauth, mailbox),
    )
)
