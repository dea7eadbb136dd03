"""Settings that identity can serve with, but that do not do what they seem to."""

from collections.abc import Iterator
from datetime import timedelta

from identity_service.domain.accounts.roles import ADMIN
from identity_service.settings.service import Settings
from identity_service.settings.values import Transport
from service_kit.origins import is_loopback


def setting_warnings(settings: Settings) -> Iterator[str]:
    """Yield a line for each setting that is dangerous, or that others contradict."""
    if not settings.throttle:
        yield "IDENTITY_THROTTLE is off: nothing limits guesses at passwords"
    if ADMIN in settings.self_assignable_roles:
        yield "IDENTITY_SELF_ASSIGNABLE_ROLES has admin: anybody may sign up as one"
    if settings.base_path and settings.mail and not settings.mail_pages:
        yield (
            "IDENTITY_MAIL_PAGES is empty, and IDENTITY_ISSUER has a path: mailed links"
            " lead to the console, which works at the root of a host only"
        )
    yield from _of_cookies(settings)
    yield from _of_passkeys(settings)
    yield from _of_lifetimes(settings)


def _of_cookies(settings: Settings) -> Iterator[str]:
    is_tls = settings.issuer.startswith("https:")
    if settings.tutorial_compat and settings.token_transport is Transport.COOKIE:
        yield (
            "TUTORIAL_COMPAT is on: tokens are also in bodies, though"
            " IDENTITY_TOKEN_TRANSPORT is cookie"
        )
    if not settings.gives_cookies:
        return
    if is_tls and not settings.cookie_secure:
        yield "IDENTITY_COOKIE_SECURE is false, though IDENTITY_ISSUER is https"
    if settings.cookie_secure and not is_tls and not is_loopback(settings.issuer):
        yield (
            "IDENTITY_COOKIE_SECURE is true, and IDENTITY_ISSUER is not https:"
            " browsers store no cookies"
        )


def _of_passkeys(settings: Settings) -> Iterator[str]:
    party = settings.relying_party
    for origin in settings.passkey_origins:
        if not party.has_pages_at(origin):
            yield (
                f"IDENTITY_PASSKEY_ORIGINS has {origin}, where browsers offer no"
                f" passkeys of {party.id} unless its /.well-known/webauthn lists it"
            )


def _of_lifetimes(settings: Settings) -> Iterator[str]:
    token, schedule = settings.access_token_lifetime, settings.key_schedule
    if token > settings.session_lifetime:
        yield (
            "IDENTITY_ACCESS_TOKEN_LIFETIME is more than IDENTITY_SESSION_LIFETIME:"
            " access tokens outlive their sessions"
        )
    elif token > settings.session_idle_lifetime:
        yield (
            "IDENTITY_ACCESS_TOKEN_LIFETIME is more than"
            " IDENTITY_SESSION_IDLE_LIFETIME: sessions are over before clients refresh"
        )
    if settings.status_list_ttl > token:
        yield (
            "IDENTITY_STATUS_LIST_TTL is more than IDENTITY_ACCESS_TOKEN_LIFETIME:"
            " lists expire before verifiers fetch the next"
        )
    if schedule.lifetime < schedule.publication:
        yield (
            "IDENTITY_SIGNING_KEY_LIFETIME is less than keys are published before they"
            f" sign: each signs for {schedule.publication // timedelta(seconds=1)} s"
        )
