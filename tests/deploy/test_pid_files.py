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


def test_nobody_holds_what_was_left(tmp_path: Path) -> None:
    file = tmp_path / "up.pid"
    file.write_text("1")
    assert PidFile(file).holder() is None
