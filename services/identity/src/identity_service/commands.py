"""The operator's commands, and their output."""

import asyncio
import contextlib
import os
from argparse import Namespace
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any

from identity_service.arguments import Write
from identity_service.composition import Services
from identity_service.diagnosis.doctor import diagnose
from identity_service.domain.accounts.passwords import random_password
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
from identity_service.settings import Settings, setting_warnings
from identity_service.storage.upgrades import schema
from identity_service.usecases.caching.cached_value import MAX_AGE_SECONDS
from service_kit.running.doctor import report
from service_kit.running.output import write_notices

Command = Callable[[Services, Namespace, Write], Awaitable[int]]
"""Returns the exit code."""


def with_services(
    command: Command,
) -> Callable[[Settings, Namespace, Write], Coroutine[Any, Any, int]]:
    """Return a command that composes the services by its settings, and closes them."""

    @wraps(command)
    async def run(settings: Settings, arguments: Namespace, write: Write) -> int:
        async with Services(settings) as services:
            with contextlib.suppress(DatabaseUnavailableError):  # it will say so
                await services.database_clock.measure()
            return await command(services, arguments, write)

    return run


async def check(settings: Settings, _: Namespace, write: Write) -> int:
    """Say that the settings can be used: those that cannot end every command."""
    for reason in setting_warnings(settings):
        write_notices(f"warning: {reason}")
    write("settings: usable")
    return 0


@with_services
async def create_admin(services: Services, arguments: Namespace, write: Write) -> int:
    """Create an administrator; leave one who is there already as they are."""
    password, generated = _given_or_made(arguments)
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


@with_services
async def reset_password(services: Services, arguments: Namespace, write: Write) -> int:
    """Give a user a temporary password, and end all their sessions."""
    password, generated = _given_or_made(arguments)
    await services.accounts.password_resets.set_temporary(arguments.username, password)
    write(f"{arguments.username}: password replaced, all sessions ended")
    if generated:
        write(f"password, to be changed at the next sign-in: {password}")
    return 0


@with_services
async def list_mail(services: Services, arguments: Namespace, write: Write) -> int:
    """Name the mails that could not be sent, or those that wait."""
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


@with_services
async def resend_mail(services: Services, arguments: Namespace, write: Write) -> int:
    """Have mails that could not be sent sent again."""
    revived = await services.outbox.resend(arguments.ids)
    write(f"{revived} will be sent again")
    return 0 if revived or not arguments.ids else 1


@with_services
async def list_roles(services: Services, _: Namespace, write: Write) -> int:
    """Name every role, and what it is for."""
    roles = await services.roles.all()
    width = max(len(role.name) for role in roles)
    for role in roles:
        write(f"{role.name:{width}}  {role.description}".rstrip())
    return 0


@with_services
async def add_role(services: Services, arguments: Namespace, write: Write) -> int:
    """Add a role; if it is there already, leave it as it is."""
    role = Role.parse(arguments.name, arguments.description)
    try:
        await services.roles.add(role)
    except RoleExistsError:
        write(f"the role {role.name} already exists")
        return 0
    write(f"role added: {role.name}")
    return 0


@with_services
async def remove_role(services: Services, arguments: Namespace, write: Write) -> int:
    """Remove a role that no user has."""
    await services.roles.remove(arguments.name)
    write(f"role removed: {arguments.name}")
    return 0


@with_services
async def plan_file(services: Services, arguments: Namespace, write: Write) -> int:
    """Say how roles, clients and settings differ from a file; 1 if they do."""
    wanted = await asyncio.to_thread(read_wanted, arguments.file)
    steps = await plan(wanted, services.roles, services.settings, os.environ)
    for step in steps:
        write(step.text)
    if not steps:
        write("nothing differs")
    return 1 if steps else 0


@with_services
async def apply_file(services: Services, arguments: Namespace, write: Write) -> int:
    """Bring roles to what a file says; 1 if something is left for a deployment."""
    wanted = await asyncio.to_thread(read_wanted, arguments.file)
    steps = await plan(wanted, services.roles, services.settings, os.environ)
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


@with_services
async def rotate_signing_key(
    services: Services, arguments: Namespace, write: Write
) -> int:
    """Let the next signing key sign before its time."""
    rotation = services.tokens.key_rotation
    try:
        replaces_unopened = getattr(arguments, "replace_unopened", False)
        if arguments.now or replaces_unopened:
            kid = await rotation.withdraw(replaces_unopened=replaces_unopened)
            await asyncio.sleep(MAX_AGE_SECONDS)  # until every process has read that
        else:
            kid = await rotation.rotate()
    except KeysUnopenedError as error:
        write(f"nothing was changed: {error}")
        write("run it with the keys that identity uses; if they are lost for good:")
        write("rotate-signing-key --replace-unopened")
        return 1
    except KeyTooNewError as error:
        write(f"verifiers may not have the next key before {error.usable_at}")
        write("in an emergency: rotate-signing-key --now")
        return 1
    write(f"signs now: {kid}")
    return 0


@with_services
async def reseal_signing_keys(services: Services, _: Namespace, write: Write) -> int:
    """Seal keys, apps' secrets and unsent mail under the first key-encryption key."""
    resealed, faults = 0, list[str]()
    for sealed in (services.tokens.key_rotation, services.factors.upkeep):
        try:
            resealed += await sealed.reseal()
        except (KeysUnopenedError, SecretsUnopenedError) as error:
            faults.append(str(error))
    letters, unopened = await services.outbox.reseal()
    if unopened:
        faults.append(f"{unopened} mails do not open")
    if faults:
        for text in (*faults, "all others are sealed under the first key now"):
            write(text)
        return 1
    write(f"resealed: {resealed + letters}; all are sealed under the first key now")
    return 0


@with_services
async def reset_factors(services: Services, arguments: Namespace, write: Write) -> int:
    """Remove the second factors of a user who has lost them."""
    removed = await services.factors.upkeep.reset(arguments.username)
    write(f"{arguments.username}: {removed} second factors removed, all sessions ended")
    return 0


@with_services
async def after_restore(services: Services, _: Namespace, write: Write) -> int:
    """End what a restored backup brings back to life; no process may serve."""
    present = await schema.present_version(services.engine)
    if (fault := schema.fault(present)) is not None:
        write(f"nothing was changed: {fault}")
        return 1
    await services.restoring.restore(write)
    write("done: start the services; everybody has to sign in again")
    return 0


@with_services
async def verify_audit(services: Services, _: Namespace, write: Write) -> int:
    """Check that nobody changed the audit log."""
    verification = await services.audit.verify()
    if verification.broken_at is not None:
        write(f"broken at event {verification.broken_at}")
        return 1
    write(
        f"{verification.records} events, unbroken; last hash {verification.last_hash}"
    )
    return 0


@with_services
async def doctor(services: Services, _: Namespace, write: Write) -> int:
    """Check the database, clock, keys and throttle store."""
    return await report(diagnose(services.settings, services, os.environ), write)


def _given_or_made(arguments: Namespace) -> tuple[str, bool]:
    """Return the password that the operator gave, or one made now, and which it is."""
    if arguments.password is None:
        return random_password(), True
    return arguments.password, False
