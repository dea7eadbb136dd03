"""Every operation of the service, module by module."""

from typing import Final

from identity_service.handlers import (
    audit,
    keys,
    me,
    metadata,
    oauth,
    password_resets,
    roles,
    sessions,
    status_lists,
    users,
)
from service_kit.operations import Operation, operations_in

OPERATIONS: Final[tuple[Operation, ...]] = operations_in(
    (
        *(me, sessions, password_resets, users, roles, audit),
        *(status_lists, keys, metadata, oauth),
    )
)
