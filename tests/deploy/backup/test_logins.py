"""How client programs of a database are told where it is, and who asks."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from deploy.backup.logins import Login
from tests.deploy.backup.commands import run


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
    login = Login.parse(
        urlsplit(f"mysql+asyncmy://me:pass@db.test:3307/identity{query}")
    )
    for is_mariadb, words in ((False, mysql), (True, mariadb)):
        with login.file(is_mariadb=is_mariadb) as option:
            lines = Path(option.partition("=")[2]).read_text().splitlines()
        address = ["[client]", "protocol=tcp", 'host="db.test"', "port=3307"]
        account = ['user="me"', 'password="pass"']
        assert lines == [*address, *words, *account]


def test_client_programs_use_the_socket_of_the_url() -> None:
    login = Login.parse(urlsplit("mysql+asyncmy://me:a%22b%0Ac@/i?unix_socket=/s"))
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
