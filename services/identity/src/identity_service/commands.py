"""The operator's commands, and their output."""

import asyncio
import contextlib
import os
import secrets
from argparse import Namespace
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry

from identity_service.arguments import Write
from identity_service.composition import Services
from identity_service.diagnosis.doctor import diagnose
from identity_service.domain.accounts.roles import Role
from identity_service.domain.accounts.users import AdminOutcome
from identity_service.domain.errors import (
    DatabaseUnavailableError,
    KeysUnopenedError,
    KeyTooNewError,
    RoleExistsError,
    SecretsUnopenedError,
)
from identity_service.plans import plan, read_wanted
from identity_service.security.password_hashing import is_readable_hash
from identity_service.settings import Settings
from identity_service.storage.tutorial_tables import (
    TutorialTables,
    create_tutorial_engine,
)
from identity_service.storage.upgrades import schema
from identity_service.usecases.importing.import_users import (
    ImportReport,
    Outcome,
    import_users,
)
from identity_service.usecases.importing.imported_users import StoredImportedUsers
from service_kit.running.doctor import report

_GENERATED_PASSWORD_BYTES: Final = 18


async def check(_: Settings, __: Namespace, write: Write) -> int:
    """Say that the settings can be used: those that cannot end every command."""
    write("settings: usable")
    return 0


async def create_admin(settings: Settings, arguments: Namespace, write: Write) -> int:
    """Create an administrator; leave one who is there already as they are."""
    password, generated = _given_or_made(arguments)
    async with composed_services(settings) as services:
        outcome = await services.sign_ups.create_admin(
            arguments.username, arguments.email, password, temporary=generated
        )
    if not generated:
        write(f"{arguments.username} {outcome}")
    elif outcome is AdminOutcome.CREATED:
        write(f"{arguments.username} {outcome}")
        write(f"password, to be changed at the first sign-in: {password}")
    else:
        write(f"{arguments.username} is an administrator already")
    return 0


async def import_tutorial_users(
    settings: Settings, arguments: Namespace, write: Write
) -> int:
    """Bring the users of the tutorial's database over."""
    tutorial = create_tutorial_engine(arguments.source)

    def progress(report: ImportReport) -> None:
        write(f"{report.done} of {report.total}, up to id {report.last_id}")

    try:
        async with composed_services(settings) as services:
            report = await import_users(
                TutorialTables(tutorial),
                StoredImportedUsers(services.database, services.clock),
                roles={role.name for role in await services.roles.all()},
                is_password_hash=partial(
                    is_readable_hash, peppers=settings.password_peppers
                ),
                progress=progress,
                after_id=arguments.after_id,
            )
    finally:
        await tutorial.dispose()
    for refusal in report.refusals:
        write(f"left behind: id {refusal.id}: {refusal.outcome.value}")
    for outcome in Outcome:
        if report.outcomes[outcome]:
            write(f"{report.outcomes[outcome]} {outcome.value}")
    return 1 if report.refusals else 0


async def reset_password(settings: Settings, arguments: Namespace, write: Write) -> int:
    """Give a user a temporary password, and end all their sessions."""
    password, generated = _given_or_made(arguments)
    async with composed_services(settings) as services:
        await services.accounts.password_resets.set_temporary(
            arguments.username, password
        )
    write(f"the sessions of {arguments.username} have ended")
    if generated:
        write(f"password, to be changed at the next sign-in: {password}")
    return 0


async def list_mail(settings: Settings, arguments: Namespace, write: Write) -> int:
    """Name the letters that could not be sent, or those that wait."""
    async with composed_services(settings) as services:
        waiting, dead = await services.outbox.count()
        letters = await services.outbox.page(dead=not arguments.waiting)
    write(f"{waiting} wait, {dead} could not be sent")
    for each in letters:
        user = "nobody yet" if each.user_id is None else f"user {each.user_id}"
        write(
            f"{each.id}  {each.created_at:%Y-%m-%d %H:%M}Z  {each.kind}  {user}"
            f"  attempts: {each.attempts}  {each.error}".rstrip()
        )
    return 0


async def resend_mail(settings: Settings, arguments: Namespace, write: Write) -> int:
    """Have letters that could not be sent sent again."""
    async with composed_services(settings) as services:
        revived = await services.outbox.resend(arguments.ids)
    write(f"{revived} will be sent again")
    return 0 if revived or not arguments.ids else 1


async def list_roles(settings: Settings, _: Namespace, write: Write) -> int:
    """Name every role, and what it is for."""
    async with composed_services(settings) as services:
        roles = await services.roles.all()
    width = max(len(role.name) for role in roles)
    for role in roles:
        write(f"{role.name:{width}}  {role.description}".rstrip())
    return 0


async def add_role(settings: Settings, arguments: Namespace, write: Write) -> int:
    """Add a role; if it is there already, leave it as it is."""
    role = Role.parse(arguments.name, arguments.description)
    async with composed_services(settings) as services:
        try:
            await services.roles.add(role)
        except RoleExistsError:
            write(f"{role.name} is a role already")
            return 0
    write(f"{role.name} is a role now")
    return 0


async def remove_role(settings: Settings, arguments: Namespace, write: Write) -> int:
    """Remove a role that no user has."""
    async with composed_services(settings) as services:
        await services.roles.remove(arguments.name)
    write(f"{arguments.name} is no role any more")
    return 0


async def plan_file(settings: Settings, arguments: Namespace, write: Write) -> int:
    """Say how roles, clients and settings differ from a file; 1 if they do."""
    wanted = await asyncio.to_thread(read_wanted, arguments.file)
    async with composed_services(settings) as services:
        steps = await plan(wanted, services.roles, settings, os.environ)
    for step in steps:
        write(step.text)
    if not steps:
        write("nothing differs")
    return 1 if steps else 0


async def apply_file(settings: Settings, arguments: Namespace, write: Write) -> int:
    """Bring roles to what a file says; 1 if something is left for a deployment."""
    wanted = await asyncio.to_thread(read_wanted, arguments.file)
    async with composed_services(settings) as services:
        steps = await plan(wanted, services.roles, settings, os.environ)
        for step in steps:
            if step.work is not None:
                await step.work()
            write(step.text)
    left = [step for step in steps if step.work is None]
    if left:
        write(f"{len(left)} left: change the environment of identity and restart it")
    elif not steps:
        write("nothing differs")
    return 1 if left else 0


async def rotate_signing_key(
    settings: Settings, arguments: Namespace, write: Write
) -> int:
    """Let the next key sign; with ``--now``, withdraw the active one immediately."""
    async with composed_services(settings) as services:
        rotation = services.tokens.key_rotation
        try:
            replaces_unopened = getattr(arguments, "replace_unopened", False)
            if arguments.now or replaces_unopened:
                kid = await rotation.withdraw(replaces_unopened=replaces_unopened)
            else:
                kid = await rotation.rotate()
        except KeysUnopenedError as error:
            write(f"nothing was changed: {error}")
            write("give the ones that identity serves with; if they are lost for good:")
            write("rotate-signing-key --replace-unopened")
            return 1
        except KeyTooNewError as error:
            write(f"verifiers may not have the next key before {error.usable_at}")
            write("in an emergency: rotate-signing-key --now")
            return 1
    write(f"signs now: {kid}")
    return 0


async def reseal_signing_keys(settings: Settings, _: Namespace, write: Write) -> int:
    """Seal keys, apps' secrets and unsent mail under the first key-encryption key."""
    resealed, faults = 0, list[str]()
    async with composed_services(settings) as services:
        for sealed in (services.tokens.key_rotation, services.factors.upkeep):
            try:
                resealed += await sealed.reseal()
            except (KeysUnopenedError, SecretsUnopenedError) as error:
                faults.append(str(error))
        letters, unopened = await services.outbox.reseal()
    if unopened:
        faults.append(f"{unopened} letters do not open")
    if faults:
        for text in (*faults, "all others are sealed under the first key now"):
            write(text)
        return 1
    write(f"sealed anew: {resealed + letters}; all are sealed under the first key now")
    return 0


async def reset_factors(settings: Settings, arguments: Namespace, write: Write) -> int:
    """Remove the second factors of a user who has lost them."""
    async with composed_services(settings) as services:
        removed = await services.factors.upkeep.reset(arguments.username)
    write(f"{arguments.username}: {removed} second factors removed, all sessions ended")
    return 0


async def after_restore(settings: Settings, _: Namespace, write: Write) -> int:
    """End sessions and tokens that a restored database revives."""
    async with composed_services(settings) as services:
        present = await schema.present_version(services.engine)
        if (fault := schema.fault(present)) is not None:
            write(f"nothing was changed: {fault}")
            return 1
        await services.restoring.restore(write)
    write("done: start the services; everybody has to sign in again")
    return 0


async def verify_audit(settings: Settings, _: Namespace, write: Write) -> int:
    """Follow the chain of audit events from its start to its end."""
    async with composed_services(settings) as services:
        verification = await services.audit.verify()
    if verification.broken_at is not None:
        write(f"broken at event {verification.broken_at}")
        return 1
    write(
        f"{verification.records} events, unbroken; last hash {verification.last_hash}"
    )
    return 0


async def doctor(settings: Settings, _: Namespace, write: Write) -> int:
    """Say of each thing that identity needs whether it is as it should be."""
    async with composed_services(settings) as services:
        return await report(diagnose(settings, services, os.environ), write)


def _given_or_made(arguments: Namespace) -> tuple[str, bool]:
    """Return the password that the operator gave, or one made now, and which it is."""
    if arguments.password is None:
        return secrets.token_urlsafe(_GENERATED_PASSWORD_BYTES), True
    return arguments.password, False


@contextlib.asynccontextmanager
async def composed_services(settings: Settings) -> AsyncIterator[Services]:
    """Compose the services for one command, and close them after it."""
    services = Services(settings, CollectorRegistry())
    try:
        with contextlib.suppress(DatabaseUnavailableError):  # the command will say so
            await services.database_clock.measure()
        yield services
    finally:
        await services.close()
