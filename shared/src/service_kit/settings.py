"""Read a service's settings from the environment, reporting every fault.

A service declares one frozen dataclass whose fields are made by `setting`. The
kit does this itself, without pydantic, because pydantic's memory alone would be a
third of what the gateway and content may use.
"""

import dataclasses
import stat
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from service_kit.files import PIPE_SECONDS, read_file
from service_kit.origins import is_origin

_SPEC: Final = "setting"
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})
LAST_PORT: Final = 65_535
_LONGEST_SECRET: Final = 65_536
"""Bytes: a log that is named by mistake is not read to the end."""

S = TypeVar("S")
E = TypeVar("E", bound=StrEnum)


class SettingsError(Exception):
    """The settings cannot be used; ``faults`` names every reason."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingSpec:
    """The declaration of one setting, for reading it and for its documentation."""

    name: str
    parse: Callable[[str], Any]
    secret: bool
    description: str
    default: str | None


def text(value: str) -> str:
    """Accept any text that is not empty."""
    if not value.strip():
        raise ValueError("is empty")
    return value.strip()


def setting(
    parse: Callable[[str], Any] = text,
    *,
    default: str | None = None,
    secret: bool = False,
    optional: bool = False,
    description: str,
    variable: str = "",
) -> Any:  # noqa: ANN401 - stands in for a field of any type, as dataclasses.field
    """Declare a field that is read from an environment variable.

    The variable is called as the field is, in upper case and after the ``prefix`` of
    the class, unless ``variable`` names another. ``parse`` turns its text into the
    value and raises ValueError with the reason if it can't. ``default`` is text too, so
    that documentation and code cannot differ. Without a default the setting is
    required, unless ``optional``: then the field is None. A ``secret`` may also come
    from the file that the variable with ``_FILE`` appended names, and is left out of
    the settings' repr.
    """
    spec = SettingSpec(
        name=variable,
        parse=parse,
        secret=secret,
        description=description,
        default=default,
    )
    if default is not None:
        value = parse(default)
        return field(
            default_factory=lambda: value, metadata={_SPEC: spec}, repr=not secret
        )
    if optional:
        return field(default=None, metadata={_SPEC: spec}, repr=not secret)
    return field(metadata={_SPEC: spec}, repr=not secret)


def specs(settings_class: type) -> list[SettingSpec]:
    """Return what a settings class reads, in order of declaration."""
    return [_spec(each, settings_class) for each in dataclasses.fields(settings_class)]


def _spec(declared: dataclasses.Field[Any], settings_class: type) -> SettingSpec:
    """Return the declaration of a field, with the name of its variable."""
    spec: SettingSpec = declared.metadata[_SPEC]
    if spec.name:
        return spec
    prefix: str = settings_class.prefix  # type: ignore[attr-defined] # by contract
    return replace(spec, name=f"{prefix}{declared.name.upper()}")


def read_settings(settings_class: type[S], environ: Mapping[str, str]) -> S:
    """Return the settings found in ``environ``.

    Raises `SettingsError`: with one line per fault. No line repeats a secret's value.
    """
    values: dict[str, object] = {}
    faults: list[str] = []
    for each in dataclasses.fields(cast("Any", settings_class)):
        spec = _spec(each, settings_class)
        try:
            found = _find(spec, environ)
            if found is not None:
                values[each.name] = spec.parse(found)
            elif each.default is MISSING and each.default_factory is MISSING:
                faults.append(f"{spec.name} is not set: {spec.description}")
        except ValueError as error:
            faults.append(f"{spec.name} {error}")
        except OSError as error:
            fault = f"names what cannot be looked for: {error.strerror}"
            faults.append(f"{spec.name} {fault}")
    if faults:
        raise SettingsError(faults)
    return settings_class(**values)


def _find(spec: SettingSpec, environ: Mapping[str, str]) -> str | None:
    """Return the setting's text; a variable that is set but empty counts as unset."""
    value = environ.get(spec.name) or None
    path = environ.get(f"{spec.name}_FILE") or None
    if not spec.secret or path is None:
        return value
    if value is not None:
        raise ValueError(f"is set twice: by itself and by {spec.name}_FILE")
    return read_secret(Path(path))


def read_secret(path: Path, *, pipe_seconds: float = PIPE_SECONDS) -> str:
    """Return a secret from its file, or raise ValueError with what is wrong with it."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ValueError("cannot be read from its file: it is a folder")
        if status.st_mode & 0o007:
            raise ValueError("is read from a file that everybody may read: chmod o=")
        content = read_file(path, longest=_LONGEST_SECRET, pipe_seconds=pipe_seconds)
        return content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ValueError("cannot be read from its file: it is not UTF-8") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"cannot be read from its file: {reason}") from None


def boolean(value: str) -> bool:
    """Accept true/false, yes/no, on/off, 1/0 in any case."""
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise ValueError("is neither on, true, yes, 1 nor off, false, no, 0")


def port(value: str) -> int:
    """Accept a TCP port; 0 asks the system for a free one."""
    return whole_number(0, LAST_PORT)(value)


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Accept whole numbers from ``least`` to ``most``."""

    def parse(value: str) -> int:
        if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
            raise ValueError(f"is not a whole number from {least} to {most}")
        return int(value)

    return parse


def seconds(least: float, most: float) -> Callable[[str], timedelta]:
    """Accept a duration given in seconds, from ``least`` to ``most``."""

    def parse(value: str) -> timedelta:
        try:
            number = float(value)
        except ValueError:
            raise ValueError("is not a number of seconds") from None
        if not least <= number <= most:
            raise ValueError(f"is not from {least:g} to {most:g} seconds")
        return timedelta(seconds=number)

    return parse


def comma_list(value: str) -> tuple[str, ...]:
    """Accept entries separated by commas or line ends; blanks are dropped."""
    entries = (entry.strip() for entry in value.replace("\n", ",").split(","))
    return tuple(entry for entry in entries if entry)


def origins(value: str) -> tuple[str, ...]:
    """Accept a list of web origins, as `service_kit.origins.is_origin` has them."""
    found = comma_list(value)
    for each in found:
        if not is_origin(each):
            raise ValueError(
                f"has {each!r}, which is no origin: scheme://host, in lower case,"
                " with a port only where it is not the scheme's own; only localhost,"
                " 127.0.0.1 and [::1] may have every port, :*"
            )
    return found


def one_of(*choices: str) -> Callable[[str], str]:
    """Accept one of some words."""

    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"is none of {', '.join(choices)}")
        return value

    return parse


def member_of(words: type[E]) -> Callable[[str], E]:
    """Accept one of the words of an enumeration."""

    def parse(value: str) -> E:
        return words(one_of(*words)(value))

    return parse


def http_url(value: str) -> str:
    """Accept an absolute http(s) URL without credentials, query or fragment.

    It must be in ASCII: so others compare it, and so it is connected to.
    """
    if not (value.isascii() and value.isprintable()):
        raise ValueError("is not in printable ASCII: write its host as xn--…")
    if any(character in value for character in '@?# \\"<>'):
        raise ValueError("is not a plain URL: no credentials, query, fragment, space")
    if not value.startswith(("http://", "https://")) or not _names_a_host(value):
        raise ValueError("is not an http or https URL")
    return value


def _names_a_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and parts.netloc[-1] != ":"
    except ValueError:  # brackets without an end, or a port beyond all
        return False
