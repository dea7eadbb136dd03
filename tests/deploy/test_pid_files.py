"""How `make up` and `make down` find each other."""

import fcntl
import os
import threading
from pathlib import Path

from deploy.dev.pid_files import PidFile


def test_a_lock_that_is_not_signed_yet_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "up.pid"
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        signing = threading.Timer(0.2, file.write_text, [str(os.getpid())])
        signing.start()
        assert PidFile(file).holder() == os.getpid()
        signing.join()


def test_the_signature_of_an_earlier_holder_does_not_count(tmp_path: Path) -> None:
    """Its id may be another process's by now, which `make down` would end."""
    file = tmp_path / "up.pid"
    file.write_text("1")
    with file.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        signing = threading.Timer(0.02, file.write_text, [str(os.getpid())])
        signing.start()
        assert PidFile(file).holder() == os.getpid()
        signing.join()


def test_one_who_looks_is_not_taken_for_the_holder(tmp_path: Path) -> None:
    file = tmp_path / "up.pid"
    file.write_text("1")
    with file.open("r+") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        assert PidFile(file).holder() is None
        leaving = threading.Timer(0.1, fcntl.flock, [looked_at, fcntl.LOCK_UN])
        leaving.start()
        held = PidFile(file).take()
        leaving.join()
    assert held is not None
    os.close(held)


def test_nobody_holds_what_was_left(tmp_path: Path) -> None:
    file = tmp_path / "up.pid"
    file.write_text("1")
    assert PidFile(file).holder() is None
