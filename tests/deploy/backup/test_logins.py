"""How client programs of a database are told where it is, and who asks."""

from pathlib import Path

import pytest
from deploy.backup.logins import Login
from deploy.backup.urls import DatabaseUrl
from sqlalchemy import make_url
from tests.deploy.backup.commands import run


def login_of(url: str) -> Login:
    return Login.parse(DatabaseUrl.parse(url))


@pytest.mark.parametrize(
    "url",
    [
        "mysql+asyncmy://me@db.test/identity",
        "mysql+asyncmy://me:a/b@db.test/identity",
        "mysql+asyncmy://me:a#b?c[d:e+f@DB.test/identity",
        "mysql+asyncmy://m%C3%BC:a%2Fb%40@[fd00::1]:3307/i%20d?ssl-mode=REQUIRED",
        "mysql+asyncmy://me:pass@/identity?unix_socket=/run/s",
        "sqlite+aiosqlite:///identity.db",
        "sqlite+aiosqlite:////srv/a%20b%3F#c.db?timeout=5",
    ],
)
def test_a_url_is_read_as_identity_reads_it(url: str) -> None:
    ours, theirs = DatabaseUrl.parse(url), make_url(url)
    assert ours.driver == theirs.drivername
    assert (ours.user, ours.password) == (theirs.username or "", theirs.password or "")
    assert not ours.password or ours.password not in repr(ours)
    assert ours.host == (theirs.host or "localhost")
    assert ours.port == (theirs.port or 3306)
    assert ours.database == theirs.database
    assert bool(ours.query) == bool(theirs.query)


@pytest.mark.parametrize(
    ("query", "mysql", "mariadb"),
    [
        ("", ["ssl-mode=DISABLED", "get-server-public-key"], ["skip-ssl"]),
        (
            "?ssl-mode=required",
            ["ssl-mode=REQUIRED"],
            ["ssl", "disable-ssl-verify-server-cert"],
        ),
        (
            "?ssl-mode=REQUIRED&ssl-ca=/ca.pem",
            ["ssl-mode=VERIFY_CA", 'ssl-ca="/ca.pem"'],
            ["ssl", "ssl-verify-server-cert", 'ssl-ca="/ca.pem"'],
        ),
        (
            "?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca.pem&ssl-cert=/c.pem&ssl-key=/k.pem",
            [
                "ssl-mode=VERIFY_IDENTITY",
                *('ssl-ca="/ca.pem"', 'ssl-cert="/c.pem"', 'ssl-key="/k.pem"'),
            ],
            [
                *("ssl", "ssl-verify-server-cert"),
                *('ssl-ca="/ca.pem"', 'ssl-cert="/c.pem"', 'ssl-key="/k.pem"'),
            ],
        ),
    ],
)
def test_client_programs_use_the_tls_of_the_url(
    query: str, mysql: list[str], mariadb: list[str]
) -> None:
    login = login_of(f"mysql+asyncmy://me:pass@db.test:3307/identity{query}")
    for is_mariadb, words in ((False, mysql), (True, mariadb)):
        with login.file(is_mariadb=is_mariadb) as option:
            lines = Path(option.partition("=")[2]).read_text().splitlines()
        address = ["[client]", "protocol=tcp", 'host="db.test"', "port=3307"]
        account = ['user="me"', 'password="pass"']
        assert lines == [*address, *words, *account]


def test_client_programs_use_the_socket_of_the_url() -> None:
    login = login_of("mysql+asyncmy://me:a%22b%0Ac@/i?unix_socket=/s")
    with login.file(is_mariadb=True) as option:
        lines = Path(option.partition("=")[2]).read_text().splitlines()
    assert lines[1:3] == ["protocol=socket", 'socket="/s"']
    assert lines[-1] == 'password="a\\"b\\nc"'


@pytest.mark.parametrize(
    "query", ["?sslmode=require", "?ssl-mode=", "?ssl-mode=PREFERRED", "?ssl=1"]
)
def test_an_option_that_is_not_understood_is_refused(
    query: str, tmp_path: Path
) -> None:
    url = f"mysql+asyncmy://me:pass@127.0.0.1:1/identity{query}"
    environ = {"IDENTITY_DATABASE_URL": url}
    refused = run("backup", tmp_path / "backup", environ=environ)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert not list(tmp_path.iterdir())
