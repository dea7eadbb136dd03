"""How the process gets its secrets."""

from collections.abc import Mapping

from identity_service.settings import Settings
from service_kit.running.doctor import Finding, note
from service_kit.settings import specs


def examine_secrets(environ: Mapping[str, str]) -> Finding:
    """Name the secrets that stand in the environment.

    World-readable files were refused when the settings were read.
    """
    names = [spec.name for spec in specs(Settings) if spec.secret]
    in_files = [name for name in names if environ.get(f"{name}_FILE")]
    if exposed := [name for name in names if environ.get(name)]:
        found = f"{', '.join(exposed)}: all who may inspect the process read them"
        return note("secrets", found, "put them into files, named by NAME_FILE")
    return Finding("secrets", f"{len(in_files)} from files that others cannot read")
