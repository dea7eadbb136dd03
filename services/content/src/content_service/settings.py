"""The settings of content."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final

from service_kit import settings as parse
from service_kit.listener import ListenerSettings, internal_port, public_port
from service_kit.settings import SettingsError, setting


def prefix_map(value: str) -> dict[str, str]:
    """Accept ``public-prefix=fetch-prefix`` entries separated by commas."""
    prefixes: dict[str, str] = {}
    for entry in parse.comma_list(value):
        public, separator, fetched = entry.partition("=")
        if not separator:
            raise ValueError("has an entry that is not public-prefix=fetch-prefix")
        prefixes[parse.http_url(public)] = parse.http_url(fetched)
    return prefixes


_NO_STATUS_LISTS: Final = (
    "CONTENT_STATUS_LIST_URLS is not set, and without it no revoked token is known; "
    "to do without, set CONTENT_REQUIRE_STATUS=false"
)


@dataclass(frozen=True, kw_only=True)
class Settings(ListenerSettings):
    """What the operator decides. docs/content.md tells what each is for."""

    prefix: ClassVar = "CONTENT_"

    port: int = public_port("8002")
    internal_port: int = internal_port("9002")
    issuer: str = setting(
        "CONTENT_ISSUER", parse.http_url, description="exact iss of access tokens"
    )
    audience: str = setting(
        "CONTENT_AUDIENCE", default="content", description="aud of access tokens"
    )
    access_token_type: str = setting(
        "CONTENT_ACCESS_TOKEN_TYPE",
        parse.one_of("at+jwt", "JWT"),
        default="at+jwt",
        description="typ of access tokens, as the issuer is set to",
    )
    clock_skew: timedelta = setting(
        "CONTENT_CLOCK_SKEW",
        parse.seconds(0, 60),
        default="30",
        description="seconds by which the issuer's clock may differ",
    )
    jwks_url: str = setting(
        "CONTENT_JWKS_URL",
        parse.http_url,
        description="where the issuer's keys are fetched",
    )
    status_list_urls: dict[str, str] = setting(
        "CONTENT_STATUS_LIST_URLS",
        prefix_map,
        default="",
        description="public-prefix=fetch-prefix list: where status lists are fetched",
    )
    require_status: bool = setting(
        "CONTENT_REQUIRE_STATUS",
        parse.boolean,
        default="true",
        description="false lets tokens pass that name no status list",
    )
    status_list_fail_open: bool = setting(
        "CONTENT_STATUS_LIST_FAIL_OPEN",
        parse.boolean,
        default="false",
        description="true lets tokens pass while no current status list can be had",
    )
    copies_folder: Path | None = setting(
        "CONTENT_COPIES_FOLDER",
        Path,
        optional=True,
        description="keeps keys and lists for a start while the issuer is away",
    )
    cookie_secure: bool = setting(
        "CONTENT_COOKIE_SECURE",
        parse.boolean,
        default="true",
        description="false reads the cookie of plain HTTP, as the issuer is set to",
    )
    tutorial_compat: bool = setting(
        "TUTORIAL_COMPAT",
        parse.boolean,
        default="false",
        description="what only the tutorial's clients need; see docs/tutorial.md",
    )

    def __post_init__(self) -> None:
        """Refuse settings under which no token could pass."""
        if self.require_status and not self.status_list_urls:
            raise SettingsError([_NO_STATUS_LISTS])
