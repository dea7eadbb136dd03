"""The services of second factors."""

from identity_service.composition.core import Core
from identity_service.domain.accounts.emails import VerificationMode
from identity_service.security.challenges import Challenges
from identity_service.security.passkeys import PasskeyCeremonies
from identity_service.security.recovery_codes import RecoveryCodes
from identity_service.settings import Settings
from identity_service.usecases.factors.changes import FactorRecords
from identity_service.usecases.factors.passkeys import Passkeys, PasskeySignIns
from identity_service.usecases.factors.proofs import FactorProofs
from identity_service.usecases.factors.second_steps import Hiding, SecondSteps
from identity_service.usecases.factors.totp import TotpEnrolment
from identity_service.usecases.factors.upkeep import FactorUpkeep
from identity_service.usecases.sessions.starts import SessionStarts


class FactorServices:
    """The services of second factors."""

    def __init__(self, core: Core, session_starts: SessionStarts) -> None:
        settings, database, clock = core.settings, core.database, core.clock
        challenges = Challenges(settings.key_encryption_keys, clock)
        recovery_codes = RecoveryCodes(settings.password_peppers)
        ceremonies = PasskeyCeremonies(settings.relying_party, challenges)
        records = FactorRecords(core.one_time_tokens)
        self.proofs = FactorProofs(
            database,
            sealer=core.sealer,
            recovery_codes=recovery_codes,
            ceremonies=ceremonies,
            clock=clock,
        )
        self.second_steps = SecondSteps(
            database,
            challenges=challenges,
            proofs=self.proofs,
            session_starts=session_starts,
            throttle=core.throttle,
            hides=_hiding(settings),
        )
        self.totp = TotpEnrolment(
            database,
            sealer=core.sealer,
            recovery_codes=recovery_codes,
            proofs=self.proofs,
            throttle=core.throttle,
            records=records,
            clock=clock,
            issuer_name=settings.relying_party.id,
        )
        self.passkeys = Passkeys(
            database,
            ceremonies=ceremonies,
            recovery_codes=recovery_codes,
            records=records,
            throttle=core.throttle,
            clock=clock,
        )
        self.passkey_sign_ins = PasskeySignIns(
            database,
            ceremonies=ceremonies,
            proofs=self.proofs,
            session_starts=session_starts,
            throttle=core.throttle,
        )
        self.upkeep = FactorUpkeep(database, sealer=core.sealer, records=records)


def _hiding(settings: Settings) -> Hiding:
    if settings.hide_second_factors:
        return Hiding.ALL
    is_required = settings.email_verification is VerificationMode.REQUIRED
    return Hiding.ADDRESSES if is_required else Hiding.NOBODY
