"""A server whose own settings would have identity write something else, or nothing."""

from typing import Final

from sqlalchemy import text
from tests.support.database import (
    connected,
    database_folder,
    empty_database,
    migrate,
    running_server,
)
from tests.support.identity import identity_settings, running_identity
from tests.support.operator import Operator

ODD: Final = (
    "--default-storage-engine=MyISAM",
    "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH",
    "--default-time-zone=+13:00",
    "--character-set-server=latin1",
)


async def test_the_servers_own_settings_do_not_matter() -> None:
    with database_folder() as folder, running_server(folder, *ODD) as running:
        async with empty_database(running.url) as url:
            await changed(url, "SET GLOBAL sql_safe_updates = 1")
            await migrate(url)
            async with running_identity(identity_settings(url)) as identity:
                user = await identity.signed_in("Søren")
                assert await identity.is_accepted(user["accessToken"])
                assert (await identity.refresh(user["refreshToken"])).status == 200
                rotated = await Operator(url).run("rotate-signing-key", "--now")
                assert rotated.code == 0, rotated.err
                assert (await identity.sign_in("Søren")).status == 200
            await changed(url, "CREATE TABLE tutorials (id INT) ENGINE=MyISAM")
            doctor = await Operator(url).run("doctor")
            assert "ok    tables: all InnoDB" in doctor.out

            await changed(url, "ALTER TABLE schema_version ENGINE=MyISAM")
            doctor = await Operator(url).run("doctor")
            assert "fault tables: schema_version" in doctor.out
            assert doctor.code == 1


async def changed(url: str, statement: str) -> None:
    async with connected(url) as engine, engine.begin() as connection:
        await connection.execute(text(statement))
