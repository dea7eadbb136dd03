"""Find variables of a service that name none of its settings, as by a mistyped name."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from service_kit.running.doctor import Finding, note
from service_kit.settings import specs


def examine_variables(
    settings_class: type, environ: Mapping[str, str], *, also: Iterable[str] = ()
) -> Iterator[Finding]:
    """Yield a note for each variable that is set for nothing.

    A variable of the service begins with the class's ``prefix``; ``also`` are names
    that the service reads besides its settings. They are no faults: the version before
    may be started with the settings of the next one.
    """
    known = {*also}
    for spec in specs(settings_class):
        known |= {spec.name, f"{spec.name}_FILE"} if spec.secret else {spec.name}
    prefix: str = settings_class.prefix  # type: ignore[attr-defined] # by contract
    for name in sorted(environ.keys() - known):
        if name.startswith(prefix):
            alike = get_close_matches(name, sorted(known), n=1)
            advice = f"say {alike[0]}, or remove it" if alike else "remove it"
            yield note(f"setting {name}", "there is none of this name", advice)
