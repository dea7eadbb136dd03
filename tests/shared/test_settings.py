import os
import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from service_kit import settings as parse
from service_kit.settings import SettingsError, read_secret, read_settings, setting


@dataclass(frozen=True, kw_only=True)
class Example:
    prefix: ClassVar = "X_"

    port: int = setting(parse.port, default="80", description="port")
    key: str = setting(secret=True, description="key")
    hosts: tuple[str, ...] = setting(parse.comma_list, default="", description="hosts")
    url: str | None = setting(
        parse.http_url, optional=True, description="u", variable="X_URL"
    )


def test_defaults_and_values_are_read() -> None:
    found = read_settings(Example, {"X_KEY": "k", "X_HOSTS": " a, b\nc ,"})

    assert found == Example(port=80, key="k", hosts=("a", "b", "c"), url=None)


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings(Example, {"X_PORT": "99999", "X_URL": "ftp://x"})

    assert [fault.split()[0] for fault in raised.value.faults] == [
        "X_PORT",
        "X_KEY",
        "X_URL",
    ]


def test_an_empty_variable_counts_as_unset() -> None:
    assert read_settings(Example, {"X_KEY": "k", "X_PORT": ""}).port == 80


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from-file\n")
    file.chmod(0o600)

    assert read_settings(Example, {"X_KEY_FILE": str(file)}).key == "from-file"


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o666])
def test_k8_a_secret_that_everybody_may_read_is_refused(
    tmp_path: Path, mode: int
) -> None:
    file = tmp_path / "key"
    file.write_text("from-file")
    file.chmod(mode)

    with pytest.raises(SettingsError, match="everybody may read") as raised:
        read_settings(Example, {"X_KEY_FILE": str(file)})

    assert "from-file" not in str(raised.value)


def test_a_missing_file_and_a_double_setting_are_faults(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read from its file"):
        read_settings(Example, {"X_KEY_FILE": str(tmp_path / "absent")})
    with pytest.raises(SettingsError, match="set twice"):
        read_settings(Example, {"X_KEY": "k", "X_KEY_FILE": "/f"})


def test_a_byte_order_mark_is_no_part_of_a_secret(tmp_path: Path) -> None:
    (file := tmp_path / "secret").write_text("k\n", "utf-8-sig")
    file.chmod(0o600)
    assert read_secret(file) == "k"


def test_a_pipe_that_nobody_writes_to_does_not_hold_the_start_up(
    tmp_path: Path,
) -> None:
    os.mkfifo(pipe := tmp_path / "secret", 0o600)
    assert read_secret(pipe) == ""


def test_a_pipe_is_read_to_its_end() -> None:
    """As of a shell's `<(...)`."""
    reader, writer = os.pipe()
    written = threading.Timer(0.1, _write, [writer])
    written.start()
    assert read_secret(Path(f"/proc/self/fd/{reader}")) == "from a pipe"
    written.join()
    os.close(reader)


def test_a_pipe_whose_writer_is_silent_does_not_hold_the_start_up() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"the beginning of a secret")
    with pytest.raises(ValueError, match="its pipe did not end in time"):
        read_secret(Path(f"/proc/self/fd/{reader}"), pipe_seconds=0.05)
    os.close(reader)
    os.close(writer)


def test_a_pipe_that_does_not_end_is_no_secret(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "secret", 0o600)
    descriptor = os.open(pipe, os.O_RDWR)
    os.write(descriptor, b"x" * 65_536)
    more = threading.Timer(0.1, os.write, [descriptor, b"x"])
    more.start()
    with pytest.raises(ValueError, match="it has more than 65536 bytes"):
        read_secret(pipe)
    more.join()
    os.close(descriptor)


def test_a_device_is_no_secret() -> None:
    """Whoever may read it: a terminal, for one, is its user's alone."""
    controller, terminal = os.openpty()
    os.fchmod(terminal, 0o600)
    with pytest.raises(ValueError, match="it is not a regular file"):
        read_secret(Path(os.ttyname(terminal)))
    os.close(controller)
    os.close(terminal)


def _write(writer: int) -> None:
    os.write(writer, b"from a pipe")
    os.close(writer)


def test_a_setting_that_is_no_secret_has_no_file() -> None:
    assert read_settings(Example, {"X_KEY": "k", "X_PORT_FILE": "/f"}).port == 80


def test_the_repr_shows_no_secret() -> None:
    assert "hush" not in repr(read_settings(Example, {"X_KEY": "hush"}))


@pytest.mark.parametrize(
    ("parser", "text"),
    [
        pytest.param(parse.boolean, "maybe", id="boolean"),
        pytest.param(parse.port, "-1", id="negative port"),
        pytest.param(parse.port, "\u0665", id="digits of another script"),
        pytest.param(parse.port, "8_0", id="underscore"),
        pytest.param(parse.seconds(1, 9), "nan", id="nan"),
        pytest.param(parse.seconds(1, 9), "0.5", id="too short"),
        pytest.param(parse.seconds(1, 9), "soon", id="not a number"),
        pytest.param(parse.one_of("a", "b"), "c", id="none of the choices"),
        pytest.param(parse.http_url, "https://u:p@host", id="URL with credentials"),
        pytest.param(parse.http_url, "https:///path", id="URL without host"),
        pytest.param(parse.http_url, "http://:80", id="URL of a port alone"),
        pytest.param(parse.http_url, "http://[::1", id="URL with half a host"),
        pytest.param(parse.http_url, "http://h:99999", id="URL beyond all ports"),
        pytest.param(parse.http_url, "http://h:x", id="URL with a word as port"),
        pytest.param(parse.http_url, "http://h:", id="URL without its port"),
        pytest.param(parse.http_url, "http://h\t", id="URL with a tab"),
        pytest.param(parse.http_url, "http://h\0", id="URL with a NUL"),
        pytest.param(parse.http_url, "http://h\\x", id="URL with a backslash"),
        pytest.param(parse.http_url, "http://m\u00fcn.test", id="URL in letters"),
        pytest.param(parse.text, "   ", id="blank text"),
    ],
)
def test_a_bad_value_is_refused(parser: object, text: str) -> None:
    assert callable(parser)
    with pytest.raises(ValueError, match="is "):
        parser(text)


def test_durations_are_seconds() -> None:
    assert parse.seconds(0, 10)("1.5") == timedelta(seconds=1.5)
