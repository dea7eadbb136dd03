"""The settings of the service."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar
from urllib.parse import urlsplit

from identity_service.domain.accounts.roles import RoleName
from identity_service.security.client_secrets import ClientSecrets
from identity_service.security.keyrings import Keyring
from identity_service.security.passkeys import RelyingParty
from identity_service.settings import values
from identity_service.settings.database import DatabaseSettings
from identity_service.settings.mail import MailSettings
from identity_service.settings.tokens import TokenSettings
from identity_service.settings.values import DAY, YEAR, IpNetwork, Transport
from identity_service.storage.database_url import checked_url
from identity_service.storage.throttle_counters import MEMORY_URL, checked_counters_url
from service_kit import settings as parse
from service_kit.origins import is_loopback, origin_of
from service_kit.running.listener import ListenerSettings, internal_port, public_port
from service_kit.settings import setting


@dataclass(frozen=True, kw_only=True)
class Settings(MailSettings, TokenSettings, ListenerSettings, DatabaseSettings):
    """The settings of identity. docs/reference/settings.md lists them."""

    prefix: ClassVar = "IDENTITY_"

    port: int = public_port("8001")
    internal_port: int = internal_port("9001")
    database_pool_size: int = setting(
        parse.whole_number(1, 200),
        default="10",
        description="most connections to the database",
    )
    password_peppers: Keyring = setting(
        values.keyring,
        secret=True,
        description="base64url keys of 32 bytes; the first hashes, all verify",
    )
    request_lifetime: timedelta = setting(
        parse.seconds(1, 300),
        default="15",
        description="seconds the gateway waits for a response; older ones get 503",
    )
    bcrypt_cost: int = setting(
        parse.whole_number(4, 16),
        default="12",
        description="cost of new password hashes; below 10 only for tests",
    )
    password_min_length: int = setting(
        parse.whole_number(8, 64),
        default="8",
        description="code points a new password must have",
    )
    breached_passwords_url: str | None = setting(
        parse.http_url,
        optional=True,
        description="mirror of the range API of leaked passwords (https://host/range)",
    )
    self_assignable_roles: frozenset[RoleName] = setting(
        values.roles, default="user", description="roles that sign-up may name"
    )
    second_factor_roles: frozenset[RoleName] = setting(
        values.roles,
        default="",
        description="roles that count after a sign-in with two factors only",
    )
    hide_second_factors: bool = setting(
        parse.boolean,
        default="false",
        description="every refused sign-in asks for a second factor, for every user",
    )
    passkey_rp_id: str | None = setting(
        optional=True,
        description="host that passkeys belong to, or a parent; the issuer's if empty",
    )
    passkey_origins: tuple[str, ...] = setting(
        values.exact_origins,
        default="",
        description="origins whose pages may use passkeys, besides the issuer's",
    )
    token_transport: Transport = setting(
        parse.member_of(Transport),
        default="body",
        description="body, cookie or both: where clients get their tokens",
    )
    cookie_secure: bool = setting(
        parse.boolean,
        default="true",
        description="Secure cookies; false only for plain HTTP in development",
    )
    allowed_origins: tuple[str, ...] = setting(
        parse.origins,
        default="",
        description="origins whose pages may use cookies for unsafe methods",
    )
    throttle: bool = setting(
        parse.boolean,
        default="on",
        description="off for load tests and benchmarks only",
    )
    throttle_url: str = setting(
        checked_counters_url,
        default=MEMORY_URL,
        secret=True,
        description="memory://, with replicas valkey://… or valkey+sentinel://…",
    )
    trusted_proxies: tuple[IpNetwork, ...] = setting(
        values.networks,
        default="127.0.0.1/32,::1/128",
        description="CIDRs of gateways, and of proxies in front of them: their"
        " X-Forwarded-For and X-Request-Id count",
    )
    introspection_clients: ClientSecrets = setting(
        values.client_secrets,
        default="",
        secret=True,
        description="client-id:SHA-256 of its secret in hex, for /oauth2/introspect",
    )
    gateway_status_urls: tuple[str, ...] = setting(
        values.urls,
        default="",
        description="where administrators look at the gateways: http://gateway:9080/status",
    )
    audit_retention: timedelta = setting(
        parse.seconds(DAY, 100 * YEAR),
        default=str(400 * DAY),
        description="seconds audit events are kept",
    )

    def unmet_needs(self) -> Iterator[str]:
        """Yield which settings need others to be set, or to be set otherwise."""
        yield from super().unmet_needs()
        if self.mailbox and self.mail_folder is None:
            yield "IDENTITY_MAILBOX is on: IDENTITY_MAIL_URL must be file:///folder"
        if self.mailbox and not is_loopback(self.issuer):
            yield "IDENTITY_MAILBOX is on: IDENTITY_ISSUER must be at localhost"
        party = self.relying_party
        if not any(map(party.has_pages_at, self.passkey_origins or party.origins)):
            yield "IDENTITY_PASSKEY_RP_ID is no host of our pages, or above one"

    @property
    def base_path(self) -> str:
        """The issuer's own path, below which clients find everything; mostly empty."""
        return urlsplit(self.issuer).path

    @property
    def gives_cookies(self) -> bool:
        """Whether clients get cookies that they did not ask for."""
        return self.tutorial_compat or self.token_transport is not Transport.BODY

    @property
    def own_origins(self) -> tuple[str, ...]:
        """Origins whose pages are ours: the gateway's, and those that are allowed."""
        return origin_of(self.issuer), *self.allowed_origins

    @property
    def relying_party(self) -> RelyingParty:
        """Whom passkeys are for: by default, the public URL."""
        host = urlsplit(self.issuer).hostname or ""
        return RelyingParty(
            id=self.passkey_rp_id or host,
            origins=(origin_of(self.issuer), *self.passkey_origins),
        )


@dataclass(frozen=True, kw_only=True)
class ImportSettings(Settings):
    """The settings of the service, and those of ``import-users``."""

    tutorial_database_url: str | None = setting(
        checked_url,
        secret=True,
        optional=True,
        description="SQLAlchemy URL of the tutorial's database",
        variable="TUTORIAL_DATABASE_URL",
    )
