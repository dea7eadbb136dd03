"""Compose the services of second factors."""

from dataclasses import dataclass

from identity_service.composition.core import Core
from identity_service.domain.emails import Verification
from identity_service.security.challenges import Challenges
from identity_service.security.passkeys import PasskeyCeremonies
from identity_service.security.recovery_codes import RecoveryCodes
from identity_service.settings import Settings
from identity_service.usecases.factors.passkeys import Passkeys, PasskeySignIns
from identity_service.usecases.factors.proofs import FactorProofs
from identity_service.usecases.factors.records import FactorRecords
from identity_service.usecases.factors.second_steps import Hiding, SecondSteps
from identity_service.usecases.factors.totp import TotpEnrolment
from identity_service.usecases.factors.upkeep import FactorUpkeep
from identity_service.usecases.sessions.starts import SessionStarts


@dataclass(frozen=True, kw_only=True)
class FactorServices:
    """The services of second factors."""

    proofs: FactorProofs
    second_steps: SecondSteps
    totp: TotpEnrolment
    passkeys: Passkeys
    passkey_sign_ins: PasskeySignIns
    upkeep: FactorUpkeep


def compose_factors(core: Core, session_starts: SessionStarts) -> FactorServices:
    """Return the services that the settings describe."""
    database, clock, audit = core.database, core.clock, core.audit
    settings, throttle, sealer = core.settings, core.throttle, core.sealer
    challenges = Challenges(settings.key_encryption_keys, clock)
    recovery_codes = RecoveryCodes(settings.password_peppers)
    ceremonies = PasskeyCeremonies(settings.relying_party, challenges)
    proofs = FactorProofs(
        database,
        sealer=sealer,
        recovery_codes=recovery_codes,
        ceremonies=ceremonies,
        clock=clock,
    )
    records = FactorRecords(audit, core.outbox, core.one_time_tokens)
    return FactorServices(
        proofs=proofs,
        second_steps=SecondSteps(
            database,
            challenges=challenges,
            proofs=proofs,
            session_starts=session_starts,
            throttle=throttle,
            audit=audit,
            hides=_hiding(settings),
        ),
        totp=TotpEnrolment(
            database,
            sealer=sealer,
            recovery_codes=recovery_codes,
            proofs=proofs,
            throttle=throttle,
            records=records,
            clock=clock,
            issuer_name=settings.relying_party.id,
        ),
        passkeys=Passkeys(
            database,
            ceremonies=ceremonies,
            recovery_codes=recovery_codes,
            records=records,
            throttle=throttle,
            audit=audit,
            clock=clock,
        ),
        passkey_sign_ins=PasskeySignIns(
            database,
            ceremonies=ceremonies,
            proofs=proofs,
            session_starts=session_starts,
            throttle=throttle,
            audit=audit,
        ),
        upkeep=FactorUpkeep(database, sealer=sealer, records=records, clock=clock),
    )


def _hiding(settings: Settings) -> Hiding:
    if settings.hide_second_factors:
        return Hiding.ALL
    is_required = settings.email_verification is Verification.REQUIRED
    return Hiding.ADDRESSES if is_required else Hiding.NOBODY
