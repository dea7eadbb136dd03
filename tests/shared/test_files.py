import os
from pathlib import Path

import pytest

from service_kit.files import read_file


def test_a_file_is_read_to_its_end_however_little_a_read_returns() -> None:
    """Files of /proc return a page at a time, as network file systems may."""
    descriptor = os.open("/proc/self/maps", os.O_RDONLY)
    part = os.read(descriptor, 1_048_576)
    os.close(descriptor)

    assert len(read_file("/proc/self/maps")) > len(part)


def test_a_file_of_the_greatest_length_is_read(tmp_path: Path) -> None:
    (file := tmp_path / "file").write_bytes(b"12345")

    assert read_file(file, longest=5) == b"12345"
    with pytest.raises(OSError, match="it has more than 4 bytes"):
        read_file(file, longest=4)
