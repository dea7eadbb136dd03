import pytest
from tests.support.identity import identity_settings

from identity_service.app import create_app
from identity_service.settings import DatabaseSettings, Transport
from identity_service.storage.database_url import checked_url
from service_kit.health import Readiness
from service_kit.settings import SettingsError, read_settings


def test_defaults_are_those_of_the_contract() -> None:
    settings = identity_settings("sqlite+aiosqlite:///x")

    assert (settings.host, settings.port) == ("127.0.0.1", 8001)
    assert settings.internal_port == 9001
    assert settings.audience == "content"
    assert settings.access_token_lifetime.total_seconds() == 900
    assert settings.session_idle_lifetime.days == 14
    assert settings.session_lifetime.days == 90
    assert settings.refresh_grace.total_seconds() == 10
    assert settings.password_min_length == 8
    assert settings.token_transport is Transport.BODY
    assert settings.self_assignable_roles == {"user"}
    assert not settings.tutorial_compat


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IDENTITY_DATABASE_URL", "postgresql://x"),
        ("IDENTITY_DATABASE_URL", "mysql://x"),
        ("IDENTITY_DATABASE_URL", "mysql+asyncmy://user:word@host:70000/identity"),
        ("IDENTITY_DATABASE_URL", "sqlite+aiosqlite://"),
        ("IDENTITY_DATABASE_URL", "sqlite+aiosqlite:///:memory:"),
        ("IDENTITY_DATABASE_URL", "sqlite+aiosqlite:///file::memory:?uri=true"),
        ("IDENTITY_DATABASE_URL", "sqlite+aiosqlite:///file:x?mode=memory&uri=true"),
        ("IDENTITY_DATABASE_URL", "sqlite+aiosqlite:///identity.db?sslmode=on"),
        ("IDENTITY_DATABASE_URL", "not a URL"),
        ("IDENTITY_ISSUER", "https://id.example/"),
        ("IDENTITY_ISSUER", "id.example"),
        ("IDENTITY_ISSUER", "https://id.example/a//b"),
        ("IDENTITY_ISSUER", "https://id.example/a/../b"),
        ("IDENTITY_ISSUER", "https://id.example/{tenant}"),
        ("IDENTITY_ISSUER", f"https://{'a' * 200}.example"),
        ("IDENTITY_KEY_ENCRYPTION_KEYS", "c2hvcnQ="),
        ("IDENTITY_PASSWORD_PEPPERS", ","),
        ("IDENTITY_SELF_ASSIGNABLE_ROLES", "user,Root"),
        ("IDENTITY_TOKEN_TRANSPORT", "header"),
        ("IDENTITY_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("IDENTITY_TRUSTED_PROXIES", "127.0.0.1/32,0.0.0.0/0"),
        ("IDENTITY_TRUSTED_PROXIES", "::/0"),
        ("IDENTITY_ACCESS_TOKEN_LIFETIME", "0"),
        ("IDENTITY_BCRYPT_COST", "31"),
        ("IDENTITY_PASSWORD_MIN_LENGTH", "7"),
        ("IDENTITY_PASSKEY_RP_ID", "https://id.example"),
        ("IDENTITY_PASSKEY_RP_ID", "other.example"),
        ("IDENTITY_MAIL_URL", "smtps://user:word@mail.test?ca=/nowhere/ca.pem"),
        ("IDENTITY_MAIL_URL", "smtps://user:word@mail.test?ca=/dev/null"),
        ("IDENTITY_MAIL_TEMPLATES", "/nowhere/at/all"),
        ("IDENTITY_SIGN_IN_CODES", "maybe"),
        ("IDENTITY_THROTTLE_URL", "valkey"),
        ("IDENTITY_THROTTLE_URL", "memcached://cache"),
        ("IDENTITY_THROTTLE_URL", "valkey://cache:port"),
        ("IDENTITY_THROTTLE_URL", "valkey://cache/first"),
        ("IDENTITY_THROTTLE_URL", "valkeys://cache/0?ssl_ca_certs=/nowhere/ca.pem"),
        ("IDENTITY_THROTTLE_URL", f"valkeys://cache/0?ssl_ca_certs=/{'x' * 300}"),
        ("IDENTITY_MAIL_TEMPLATES", f"/{'x' * 300}"),
    ],
)
def test_a_bad_setting_is_named_and_its_value_is_not(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        identity_settings("sqlite+aiosqlite:///x", **{name: value})

    assert [fault.partition(" ")[0] for fault in caught.value.faults] == [name]


def test_settings_that_need_others_are_all_named() -> None:
    needy = {
        "IDENTITY_EMAIL_VERIFICATION": "required",
        "IDENTITY_MAILBOX": "on",
        "IDENTITY_PASSKEY_RP_ID": "other.example",
    }
    with pytest.raises(SettingsError) as caught:
        identity_settings("sqlite+aiosqlite:///x", **needy)

    assert {fault.partition(" ")[0] for fault in caught.value.faults} == {*needy}


def test_k8_secrets_are_not_in_the_representation() -> None:
    settings = identity_settings("mysql+asyncmy://user:sesame@host/database")

    assert "sesame" not in repr(settings)
    assert "key_encryption_keys" not in repr(settings)


def test_whoever_migrates_needs_the_url_alone() -> None:
    environ = {"IDENTITY_DATABASE_URL": "sqlite+aiosqlite:///x"}

    assert read_settings(DatabaseSettings, environ).database_url


def test_sqlite_may_read_a_copy_that_nobody_writes() -> None:
    url = "sqlite+aiosqlite:///file:/copy.db?immutable=1&mode=ro&uri=true"

    assert checked_url(url) == url


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        pytest.param(
            {"IDENTITY_THROTTLE": "off"}, "IDENTITY_THROTTLE is off", id="no throttle"
        ),
        pytest.param(
            {"IDENTITY_SELF_ASSIGNABLE_ROLES": "user,admin"},
            "IDENTITY_SELF_ASSIGNABLE_ROLES has admin",
            id="everybody an admin",
        ),
        pytest.param(
            {
                "IDENTITY_ISSUER": "https://id.test/auth",
                "IDENTITY_MAIL_URL": "smtp://mail.test",
                "IDENTITY_MAIL_FROM": "id@id.test",
            },
            "IDENTITY_MAIL_PAGES is empty",
            id="links to a console that does not work",
        ),
        pytest.param(
            {"IDENTITY_TOKEN_TRANSPORT": "cookie", "TUTORIAL_COMPAT": "true"},
            "TUTORIAL_COMPAT is on",
            id="cookies that are not alone",
        ),
        pytest.param(
            {"IDENTITY_TOKEN_TRANSPORT": "both", "IDENTITY_ISSUER": "https://id.test"},
            "IDENTITY_COOKIE_SECURE is false",
            id="cookies without Secure",
        ),
        pytest.param(
            {"IDENTITY_TOKEN_TRANSPORT": "cookie", "IDENTITY_COOKIE_SECURE": "true"},
            "IDENTITY_COOKIE_SECURE is true",
            id="cookies that no browser stores",
        ),
        pytest.param(
            {"IDENTITY_PASSKEY_ORIGINS": "http://app.identity.test,https://other.test"},
            "IDENTITY_PASSKEY_ORIGINS has https://other.test, where browsers offer no"
            " passkeys of identity.test unless its /.well-known/webauthn lists it",
            id="origin without passkeys",
        ),
        pytest.param(
            {"IDENTITY_SESSION_LIFETIME": "600"},
            "IDENTITY_ACCESS_TOKEN_LIFETIME is more than IDENTITY_SESSION_LIFETIME",
            id="short sessions",
        ),
        pytest.param(
            {"IDENTITY_SESSION_IDLE_LIFETIME": "600"},
            "IDENTITY_ACCESS_TOKEN_LIFETIME is more than"
            " IDENTITY_SESSION_IDLE_LIFETIME",
            id="sessions that end before a refresh",
        ),
        pytest.param(
            {"IDENTITY_STATUS_LIST_TTL": "3600"},
            "IDENTITY_STATUS_LIST_TTL is more than",
            id="lists that expire",
        ),
        pytest.param(
            {"IDENTITY_SIGNING_KEY_LIFETIME": "600", "IDENTITY_JWKS_MAX_AGE": "900"},
            "IDENTITY_SIGNING_KEY_LIFETIME is less than",
            id="keys that sign for longer",
        ),
    ],
)
async def test_settings_that_contradict_each_other_are_named_at_start(
    environ: dict[str, str], named: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = identity_settings(
        "sqlite+aiosqlite:///x", **{"IDENTITY_THROTTLE": "on", **environ}
    )
    readiness = Readiness()

    create_app(settings, readiness=readiness)

    (record,) = (each for each in caplog.records if each.message == "setting_doubtful")
    assert record.levelname == "WARNING"
    assert record.__dict__["reason"].startswith(named)
    assert (await readiness.warned())["settings"] == record.__dict__["reason"]


@pytest.mark.parametrize(
    "environ", [{}, {"IDENTITY_ISSUER": "https://id.test/auth"}], ids=["plain", "path"]
)
async def test_settings_as_they_should_be_are_not_warned_of(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    settings = identity_settings(
        "sqlite+aiosqlite:///x", **{"IDENTITY_THROTTLE": "on", **environ}
    )
    readiness = Readiness()

    create_app(settings, readiness=readiness)

    assert not caplog.records
    assert "settings" not in readiness.warnings
