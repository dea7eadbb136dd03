"""`make new-service NAME=notes`: a service of your own behind the gateway.

Its code comes from `template/`; in the files that name every service it is put beside
content, whose entries are repeated with its name and ports.
"""

import keyword
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
TEMPLATE: Final = Path(__file__).parent / "template"
SERVICES: Final = ROOT / "deploy" / "services.toml"

_NAME: Final = re.compile(r"[a-z][a-z0-9]{1,20}")

_COMPOSE_SERVICE: Final = r"  content:\n(?:    .*\n|\n)+(?=  \S)"
_KUBERNETES_OBJECT: Final = (
    r"apiVersion: .*\nkind: .*\nmetadata: \{name: content\}\n(?:(?!---).*\n)+---\n"
)
_SETTINGS_OF_TESTS: Final = (
    r"from content_service\.settings import Settings as ContentSettings\n",
    r'    "content": ContentSettings,\n',
)

_ALERTS: Final = (
    "deploy/observability/alerts.yml",
    "deploy/k8s/components/monitoring/alerts.yaml",
)
"""The alerts, and the copy of them for Kubernetes."""

_REPEATED: Final[dict[str, tuple[str, ...]]] = {
    "deploy/services.toml": (r"\[content\]\n(?:.+\n)+\n",),
    "deploy/requirements/dev.in": (r"\./services/content\n",),
    "deploy/compose/renew": (
        r" \| content(?=[ )])",
        r"(?<=identity) content(?= [a-z0-9 ]*gateway)",
    ),
    "deploy/compose.production.yml": (_COMPOSE_SERVICE,),
    "docker-compose.yml": (
        _COMPOSE_SERVICE,
        r" +GATEWAY_UPSTREAM_CONTENT: .*\n",
        r" +content: \{condition: .*\n",
    ),
    "deploy/k8s/base/autoscaling.yaml": (_KUBERNETES_OBJECT,),
    "deploy/k8s/base/gateway.yaml": (r" +- \{name: GATEWAY_UPSTREAM_CONTENT, .*\n",),
    "deploy/k8s/base/kustomization.yaml": (r"  - content\.yaml\n",),
    "deploy/k8s/base/network.yaml": (
        r"    - (?:to|from): .*name: content\}\}\}\]\n.*\n",
        _KUBERNETES_OBJECT,
    ),
    "deploy/k8s/components/monitoring/service-monitors.yaml": (r", content(?=[],])",),
    "deploy/observability/prometheus.yml": (r"  - job_name: content\n    .*\n",),
    **dict.fromkeys(
        _ALERTS, (r"\|content(?=[|\"])", r" or\s+absent\(up\{job=\"content\"\}\)")
    ),
    "deploy/observability/alerts_test.yml": (
        r" +- \{series: 'up\{job=\"content\",instance=\"b\"\}', .*\n",
    ),
    "deploy/k8s/overlays/production/kustomization.yaml": (
        r"      - CONTENT_ISSUER=.*\n",
        r"  - name: gatehouse-content\n(?:    .*\n)+",
    ),
    ".env.example": (r"CONTENT_REPLICAS=.*\n",),
    "tests/deploy/test_compose_file.py": _SETTINGS_OF_TESTS,
    "tests/deploy/test_kubernetes.py": _SETTINGS_OF_TESTS,
    "tests/conftest.py": (r'    "content_service",\n',),
    "pyproject.toml": (r' "services/content/src",', r' "content_service",'),
}
"""In each file, the patterns of what is repeated with the new name."""

_CONFIGURATIONS: Final = ("deploy/gateway.toml", "deploy/k8s/base/gateway.toml")
"""The gateway's, and the copy of it that kustomize can read."""

_COPIED: Final = ("deploy/k8s/base/content.yaml", "deploy/requirements/content.txt")
"""Content's own files, of which the service gets copies."""

_NAMED_ALREADY: Final = {
    r"^  {name}:": ("docker-compose.yml", "deploy/compose.production.yml"),
    r"^metadata: \{{name: {name}[,}}]": (
        "deploy/k8s/base/network.yaml",
        "deploy/k8s/base/autoscaling.yaml",
    ),
}
"""Patterns of other things that the files name, beside which it would stand."""

_ROUTE: Final = """
[upstreams.{name}]
addresses = ["http://127.0.0.1:{port}"]

[upstreams.{name}.health]
path = "/readyz"
port = {internal_port}

[[routes]]
prefix = "/api/{name}"
upstream = "{name}"
"""


class NewServiceError(Exception):
    """It can not be made; the message is one line for a person."""


class NewService(NamedTuple):
    """A service that is to be made."""

    name: str
    port: int
    internal_port: int

    def named(self, text: str) -> str:
        """Return a text about content as one about this service."""
        replaced = text.replace("content", self.name).replace("Content", self.title)
        replaced = replaced.replace("CONTENT", self.name.upper())
        return replaced.replace("8002", str(self.port)).replace(
            "9002", str(self.internal_port)
        )

    @property
    def title(self) -> str:
        """The name, as it begins a sentence."""
        return self.name.capitalize()


def main(arguments: list[str]) -> int:
    """Make the service that the Makefile names."""
    try:
        service = _checked(*arguments)
        _refuse_taken(service)
        entries = _with_entries(service)
    except NewServiceError as error:
        print(f"new-service: {error}", file=sys.stderr)
        return 1
    paths = [*_write_code(service), *_write_deployment(service, entries)]
    _sort_imports()
    name, ports = service.name, f"{service.port} and {service.internal_port}"
    print(f"new-service: {name}, on ports {ports}, behind /api/{name}")
    print(*(f"  {path}" for path in paths), sep="\n")
    print(f"`make up` starts it along; its own test: make test ARGS=tests/{name}")
    return 0


def _checked(name: str = "") -> NewService:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise NewServiceError("say NAME=notes: 2 to 21 letters a-z and digits")
    present = tomllib.loads(SERVICES.read_text("utf-8"))
    if name in present or (ROOT / "services" / name).exists():
        raise NewServiceError(f"there is a service {name} already")
    behind = [ports for each, ports in present.items() if each != "gateway"]
    return NewService(
        name,
        1 + max(ports["port"] for ports in behind),
        1 + max(ports["internal_port"] for ports in behind),
    )


def _refuse_taken(service: NewService) -> None:
    """Raise NewServiceError if anything of the product has the name already."""
    name, prefix = service.name, f"/api/{service.name}"
    made = (*_templates(service).values(), *map(service.named, _COPIED))
    taken = [each for each in (f"tests/{name}", *made) if (ROOT / each).exists()]
    for pattern, files in _NAMED_ALREADY.items():
        named = re.compile(pattern.format(name=name), re.MULTILINE)
        taken += [each for each in files if named.search((ROOT / each).read_text())]
    for each in _CONFIGURATIONS:
        routes = tomllib.loads((ROOT / each).read_text("utf-8"))["routes"]
        if any(f"{route['prefix']}/".startswith(f"{prefix}/") for route in routes):
            taken.append(f"{prefix} in {each}")
    if taken:
        raise NewServiceError(f"another name, please: {taken[0]} has {name} already")


def _templates(service: NewService) -> dict[Path, str]:
    """Return what each template becomes."""
    return {
        source: service.named(
            str(source.relative_to(TEMPLATE)).removesuffix(".template")
        )
        for source in sorted(TEMPLATE.rglob("*.template"))
    }


def _write_code(service: NewService) -> list[str]:
    """Fill the template in; return the files."""
    templates = _templates(service)
    for source, name in templates.items():
        target = ROOT / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(service.named(source.read_text("utf-8")), "utf-8")
    return list(templates.values())


def _with_entries(service: NewService) -> dict[str, str]:
    """Return the files that name every service, with the new one beside content."""
    texts = {}
    for name, patterns in _REPEATED.items():
        text = (ROOT / name).read_text("utf-8")
        for pattern in patterns:
            text, count = re.subn(
                pattern, lambda match: match[0] + service.named(match[0]), text
            )
            if not count:
                raise NewServiceError(f"{name} has no entry of content like {pattern}")
        texts[name] = text
    return texts


def _write_deployment(service: NewService, entries: dict[str, str]) -> list[str]:
    """Write the files that deploy the service; return them."""
    for name, text in entries.items():
        (ROOT / name).write_text(text, "utf-8")
    route = _ROUTE.format(**service._asdict())
    for name in _CONFIGURATIONS:
        with (ROOT / name).open("a", encoding="utf-8") as file:
            file.write(route)
    for name in _COPIED:
        text = (ROOT / name).read_text("utf-8")
        target = ROOT / service.named(name)
        target.write_text(_copied(text, service, name), "utf-8")
    made = [service.named(name) for name in _COPIED]
    return [*made, *_CONFIGURATIONS, *_REPEATED]


def _sort_imports() -> None:
    """Put the imports in order: the new name may come before or after content's."""
    command = [sys.executable, "-m", "ruff", "check", "--quiet", "--select", "I001"]
    folders = ["services", "tests"]
    subprocess.run([*command, "--fix-only", *folders], cwd=ROOT, check=True)  # noqa: S603 - ours


def _copied(text: str, service: NewService, name: str) -> str:
    """Return content's own file with the new name; a lock's hashes hold no port."""
    if name.endswith(".txt"):
        return text.replace("content-service", f"{service.name}-service")
    return service.named(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
