"""Reseal signing keys under another key-encryption key."""

from collections.abc import Sequence
from functools import partial

from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import KeysUnopenedError
from identity_service.domain.signing_keys import KeyRecord
from identity_service.security.keyrings import SealBrokenError, Sealer
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories


async def reseal_keys(
    database: Database, sealer: Sealer, records: Sequence[KeyRecord]
) -> int:
    """Reseal private halves that are not sealed by the first sealing key.

    Returns how many were.

    Raises `KeysUnopenedError`: some do not open; the others are done.
    """
    resealed, unopened = 0, list[str]()
    for record in records:
        sealed = record.sealed_private_key
        if sealed is None:
            continue
        try:
            renewed = sealer.reseal(sealed, record.kid.encode())
        except SealBrokenError:
            unopened.append(record.kid)
            continue
        if renewed is not None:
            work = partial(_reseal, record.kid, sealed, renewed)
            resealed += await database.write(work)
    if unopened:
        raise KeysUnopenedError(unopened)
    return resealed


async def _reseal(kid: str, sealed: bytes, renewed: bytes, unit: Repositories) -> bool:
    is_ours = await unit.signing_keys.reseal(kid, sealed, renewed)
    if is_ours:
        unit.record(AuditEvent(action=Action.KEY_RESEALED, details={"kid": kid}))
    return is_ours
