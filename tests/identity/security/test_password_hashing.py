import asyncio
import base64
import hmac
import os
import threading
import time
import unicodedata
from collections.abc import Iterator
from functools import partial

import bcrypt
import pytest
from tests.support.timing import assert_alike

from identity_service.domain.accounts.passwords import PASSWORD_MAX_LENGTH
from identity_service.domain.sessions.sessions import Device
from identity_service.security.keyrings import Keyring
from identity_service.security.password_hashing import (
    WORKER_NICENESS,
    HashingBusyError,
    PasswordHasher,
    Verdict,
    is_readable_hash,
)

OLD, NEW = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2))
PEPPERS = Keyring.parse([NEW, OLD])
COST = 4
PASSWORD = "vexing quilt"


def plain(password: str, *, cost: int = COST, prefix: str = "2b") -> str:
    """Return a hash as bcrypt.js of the tutorial makes it."""
    hashed = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(cost)).decode()
    return hashed.replace("2b", prefix, 1)


@pytest.fixture
def hasher() -> Iterator[PasswordHasher]:
    hasher = PasswordHasher(PEPPERS, cost=COST)
    yield hasher
    hasher.close()


async def test_p3_stored_form_is_bcrypt_of_a_keyed_digest(
    hasher: PasswordHasher,
) -> None:
    stored = await hasher.hash(PASSWORD)

    prefix = f"$hmac-sha384${PEPPERS.first.id}"
    hashed = stored.removeprefix(prefix)
    digest = hmac.digest(b"\2" * 32, PASSWORD.encode(), "sha384")
    assert hashed.startswith("$2b$04$")
    assert bcrypt.checkpw(base64.b64encode(digest), hashed.encode())
    assert len(stored) <= 255
    assert is_readable_hash(stored, PEPPERS)
    assert not is_readable_hash(stored, Keyring.parse([OLD]))


async def test_p6_own_hash_matches_its_password_alone(hasher: PasswordHasher) -> None:
    stored = await hasher.hash(PASSWORD)

    assert await hasher.verify(PASSWORD, stored) is Verdict.MATCH
    assert await hasher.verify(PASSWORD + " ", stored) is Verdict.MISMATCH
    assert await hasher.verify(PASSWORD.upper(), stored) is Verdict.MISMATCH
    assert await hasher.hash(PASSWORD) != stored


@pytest.mark.parametrize(
    ("password", "other"),
    [
        pytest.param("😀" * 64, "😀" * 63 + "😁", id="64 emoji"),
        pytest.param("a" * 72 + "b", "a" * 72 + "c", id="73 bytes"),
        pytest.param("密" * 25, "密" * 24 + "码", id="25 Chinese characters"),
        pytest.param("a" * 72, "a" * 73, id="72 bytes and more"),
        pytest.param("q" * PASSWORD_MAX_LENGTH, "q" * 255, id="the longest"),
        pytest.param("ab\0cdefgh", "ab\0xxxxxx", id="NUL"),
        pytest.param(" a b c d ", "a b c d", id="spaces around"),
    ],
)
async def test_p2_every_character_counts(
    hasher: PasswordHasher, password: str, other: str
) -> None:
    stored = await hasher.hash(password)

    assert await hasher.verify(password, stored) is Verdict.MATCH
    assert await hasher.verify(other, stored) is Verdict.MISMATCH


async def test_p4_composed_and_decomposed_are_one_password(
    hasher: PasswordHasher,
) -> None:
    stored = await hasher.hash("pässwörter")
    decomposed = unicodedata.normalize("NFD", "pässwörter")

    assert await hasher.verify(decomposed, stored) is Verdict.MATCH


@pytest.mark.parametrize("prefix", ["2a", "2b", "2y"])
@pytest.mark.parametrize("cost", [4, 6, 8])
async def test_p6_plain_hash_matches_and_is_outdated(
    hasher: PasswordHasher, prefix: str, cost: int
) -> None:
    stored = plain(PASSWORD, cost=cost, prefix=prefix)

    assert await hasher.verify(PASSWORD, stored) is Verdict.MATCH_OUTDATED
    assert await hasher.verify("vexing quilts", stored) is Verdict.MISMATCH
    assert is_readable_hash(stored, PEPPERS)


async def test_p6_known_answer_of_another_implementation(
    hasher: PasswordHasher,
) -> None:
    """A test vector of OpenBSD's bcrypt."""
    stored = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"

    assert await hasher.verify("U*U", stored) is Verdict.MATCH_OUTDATED


async def test_p2_plain_hash_reads_72_bytes_as_its_maker_did(
    hasher: PasswordHasher,
) -> None:
    stored = plain("密" * 30)

    assert await hasher.verify("密" * 30, stored) is Verdict.MATCH_OUTDATED
    assert await hasher.verify("密" * 23 + "x" * 30, stored) is Verdict.MISMATCH
    upgraded = await hasher.hash("密" * 30)
    assert await hasher.verify("密" * 29, upgraded) is Verdict.MISMATCH


async def test_p6_outdated_by_cost_or_pepper() -> None:
    before = PasswordHasher(Keyring.parse([OLD]), cost=4)
    cheap_pepper_now = PasswordHasher(PEPPERS, cost=4)
    costlier = PasswordHasher(Keyring.parse([OLD]), cost=5)
    cheaper = PasswordHasher(Keyring.parse([OLD]), cost=4)
    stored = await before.hash(PASSWORD)
    dear = await costlier.hash(PASSWORD)

    assert await cheap_pepper_now.verify(PASSWORD, stored) is Verdict.MATCH_OUTDATED
    assert await costlier.verify(PASSWORD, stored) is Verdict.MATCH_OUTDATED
    assert await cheaper.verify(PASSWORD, dear) is Verdict.MATCH
    for each in (before, cheap_pepper_now, costlier, cheaper):
        each.close()


async def test_unknown_pepper_refuses_and_says_so(hasher: PasswordHasher) -> None:
    other = PasswordHasher(Keyring.parse([OLD]), cost=COST)
    stored = await hasher.hash(PASSWORD)

    verdict = await other.verify(PASSWORD, stored)
    other.close()

    assert verdict is Verdict.UNKNOWN_PEPPER
    assert not verdict.matches


GOOD = plain(PASSWORD)


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param("", id="empty"),
        pytest.param("notahash", id="no hash"),
        pytest.param(PASSWORD, id="the password itself"),
        pytest.param("$2b$99$" + "a" * 53, id="cost 99"),
        pytest.param("$2b$31$" + "a" * 53, id="cost 31"),
        pytest.param("$2b$03$" + "a" * 53, id="cost 3"),
        pytest.param("$2b$٠٤$" + "a" * 53, id="Arabic digits"),
        pytest.param(GOOD[:-1], id="shorter"),
        pytest.param(GOOD + "a", id="longer"),
        pytest.param(GOOD + "\n", id="line feed"),
        pytest.param(GOOD.replace("2b", "2x", 1), id="2x"),
        pytest.param(GOOD.replace("2b", "2", 1), id="bcrypt of 1997"),
        pytest.param(GOOD[:-1] + "!", id="outside the alphabet"),
        pytest.param(GOOD[:-1] + "é", id="not ASCII"),
        pytest.param(GOOD + "\0", id="NUL"),
        pytest.param("\ud800" * 60, id="surrogates"),
        pytest.param(f"$hmac-sha384$0000000{GOOD}", id="short pepper id"),
        pytest.param(f"$hmac-sha384$0000000G{GOOD}", id="pepper id not hex"),
        pytest.param(f"$hmac-sha256$00000000{GOOD}", id="another digest"),
        pytest.param("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", id="argon2"),
        pytest.param("x" * 100_000, id="100 000 characters"),
    ],
)
async def test_p6_malformed_stored_hash_refuses_and_says_so(
    hasher: PasswordHasher, stored: str
) -> None:
    verdict = await hasher.verify(PASSWORD, stored)

    assert verdict is Verdict.MALFORMED_HASH
    assert not verdict.matches
    assert not is_readable_hash(stored, PEPPERS)


@pytest.mark.parametrize("last", list("./AOaeuz9"))
async def test_no_salt_raises(hasher: PasswordHasher, last: str) -> None:
    """Of the last character of a salt only two bits count."""
    stored = "$2b$04$" + "a" * 21 + last + "b" * 31

    verdict = await hasher.verify(PASSWORD, stored)

    assert verdict in {Verdict.MISMATCH, Verdict.MALFORMED_HASH}


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("", id="empty"),
        pytest.param("\0", id="NUL"),
        pytest.param("\ud800", id="lone surrogate"),
        pytest.param("a" * 73, id="73 bytes"),
        pytest.param("密" * 25, id="75 bytes"),
        pytest.param("a" * 1_000_000, id="a million"),
    ],
)
async def test_p2_no_password_raises(hasher: PasswordHasher, password: str) -> None:
    for stored in (await hasher.hash(PASSWORD), plain(PASSWORD), None):
        assert await hasher.verify(password, stored) is Verdict.MISMATCH


async def test_p7_every_refusal_takes_as_long() -> None:
    """Unknown user, wrong password, cheap, dear, malformed and foreign hashes alike."""
    hasher = PasswordHasher(PEPPERS, cost=8, workers=1)
    foreign = PasswordHasher(
        Keyring.parse([base64.urlsafe_b64encode(b"\3" * 32).decode()]), cost=4
    )
    refused = {
        "unknown user": (PASSWORD, None),
        "wrong password": ("other quilt", await hasher.hash(PASSWORD)),
        "imported, cost 4": ("other quilt", plain(PASSWORD, cost=4)),
        "imported, cost 7": ("other quilt", plain(PASSWORD, cost=7)),
        "malformed": (PASSWORD, "notahash"),
        "foreign pepper": (PASSWORD, await foreign.hash(PASSWORD)),
        "impossible password": ("\ud800", await hasher.hash(PASSWORD)),
    }
    # One worker computes, so the process's CPU time is that of the hash, whatever else
    # runs on the machine.
    await assert_alike(
        {name: partial(hasher.verify, *case) for name, case in refused.items()},
        tries=25,
        clock=time.process_time,
    )
    hasher.close()
    foreign.close()


async def test_p9_full_queue_refuses_at_once() -> None:
    hasher = PasswordHasher(PEPPERS, cost=10, workers=2, queue_length=4)
    checks = [asyncio.ensure_future(hasher.verify(PASSWORD, None)) for _ in range(6)]
    await asyncio.sleep(0)

    with pytest.raises(HashingBusyError) as busy:
        await hasher.verify(PASSWORD, None)
    with pytest.raises(HashingBusyError):
        hasher.expect_room()

    assert not any(check.done() for check in checks)
    assert 1 <= busy.value.retry_after <= 5
    assert await asyncio.gather(*checks) == [Verdict.MISMATCH] * 6
    hasher.expect_room()
    assert await hasher.verify(PASSWORD, None) is Verdict.MISMATCH
    hasher.close()


async def test_p9_clients_that_hang_up_do_not_widen_the_queue() -> None:
    hasher = PasswordHasher(PEPPERS, cost=10, workers=1, queue_length=2)
    checks = [asyncio.ensure_future(hasher.verify(PASSWORD, None)) for _ in range(3)]
    await asyncio.sleep(0.005)
    for check in checks:
        check.cancel()
    await asyncio.gather(*checks, return_exceptions=True)

    # The one that runs cannot be stopped and keeps its room; the others made theirs.
    again = [asyncio.ensure_future(hasher.verify(PASSWORD, None)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(HashingBusyError):
        await hasher.verify(PASSWORD, None)

    await asyncio.gather(*again)
    hasher.close()


async def test_p9_a_crowd_of_one_network_delays_nobody_else() -> None:
    hasher = PasswordHasher(PEPPERS, cost=8, workers=1, queue_length=8)
    ended: list[str] = []

    async def check(device: Device) -> None:
        try:
            await hasher.verify(PASSWORD, None, device)
        except HashingBusyError:
            ended.append("refused")
        else:
            ended.append(device.name)

    crowd = [Device("crowd", f"2001:db8:0:{n:x}::1") for n in range(9)]
    alice = Device("alice", "198.51.100.7")
    checks = [asyncio.ensure_future(check(device)) for device in crowd]
    await asyncio.sleep(0)
    with pytest.raises(HashingBusyError):
        hasher.expect_room(crowd[0])
    hasher.expect_room(alice)
    await asyncio.gather(*checks, check(alice))

    assert ended.count("refused") == 1
    assert "alice" in ended[:4]
    hasher.close()


async def test_p9_no_hash_is_made_for_a_client_that_hung_up() -> None:
    hasher = PasswordHasher(PEPPERS, cost=10, workers=1)
    gone = Device("gone", "198.51.100.7", lambda: True)
    spent_before = time.process_time()
    checks = [hasher.verify(PASSWORD, None, gone) for _ in range(40)]

    outcomes = await asyncio.gather(*checks, return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {HashingBusyError}
    assert time.process_time() - spent_before < 0.2
    assert await hasher.verify(PASSWORD, None) is Verdict.MISMATCH
    hasher.close()


async def test_p9_waiters_that_are_cancelled_lose_no_turn() -> None:
    hasher = PasswordHasher(PEPPERS, cost=4, workers=2, queue_length=16)
    for _ in range(50):
        checks = [
            asyncio.ensure_future(hasher.verify(PASSWORD, None)) for _ in range(12)
        ]
        await asyncio.sleep(0)
        for check in checks[::2]:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)

    again = [hasher.verify(PASSWORD, None) for _ in range(18)]
    assert await asyncio.gather(*again) == [Verdict.MISMATCH] * 18
    hasher.close()


async def test_p9_the_loop_runs_while_hashes_are_made() -> None:
    hasher = PasswordHasher(PEPPERS, cost=11)
    hashing = asyncio.gather(*(hasher.hash(PASSWORD) for _ in range(4)))
    delays = []
    while not hashing.done():
        started_at = time.monotonic()
        await asyncio.sleep(0.001)
        delays.append(time.monotonic() - started_at)
    hasher.close()

    assert len(await hashing) == 4
    assert sorted(delays)[len(delays) * 99 // 100] < 0.05


async def test_p9_hashes_leave_the_cores_to_whatever_else_the_service_does(
    hasher: PasswordHasher,
) -> None:
    await hasher.hash(PASSWORD)

    niceness = {
        os.getpriority(os.PRIO_PROCESS, thread.native_id or 0)
        for thread in threading.enumerate()
        if thread.name.startswith("password-hashing")
    }
    assert niceness == {os.getpriority(os.PRIO_PROCESS, 0) + WORKER_NICENESS}


@pytest.mark.parametrize("cost", [3, 17])
def test_cost_out_of_bounds_is_refused(cost: int) -> None:
    with pytest.raises(ValueError, match="cost"):
        PasswordHasher(PEPPERS, cost=cost)
