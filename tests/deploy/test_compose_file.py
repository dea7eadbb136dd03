"""What docker-compose.yml promises, read from the file itself."""

import errno
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from deploy.compose import make_secrets
from tests.reference.gateway_configuration import sections

from content_service.settings import Settings as ContentSettings
from gateway_service.config.keys import NAME
from gateway_service.settings import GatewaySettings
from identity_service.settings import Settings as IdentitySettings
from service_kit.settings import specs

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final[dict[str, Any]] = yaml.safe_load(
    (ROOT / "docker-compose.yml").read_text()
)
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]

ONE_SHOTS: Final = {"secrets", "migrations"}
GATEWAYS: Final = {"gateway", "gateway-2"}
SETTINGS: Final[Mapping[str, type]] = {
    "identity": IdentitySettings,
    "content": ContentSettings,
    "gateway": GatewaySettings,
    "gateway-2": GatewaySettings,
}
OURS: Final = set(SETTINGS)
FILES: Final = [ROOT / "docker-compose.yml", ROOT / "deploy/compose.production.yml"]
EXAMPLE: Final = (ROOT / ".env.example").read_text()
SECRET_WORDS: Final = re.compile("PASSWORD|SECRET|_KEYS?|PEPPER|DATABASE_URL")

each_service = pytest.mark.parametrize("name", sorted(SERVICES))


@each_service
def test_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    mode = "service:edge" if name in GATEWAYS else "none"
    assert service.get("network_mode", mode) == mode
    assert not {"pid", "ipc", "devices", "container_name"} & set(service)
    assert "docker.sock" not in str(service)


@each_service
def test_service_is_limited(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}
    assert SERVICES[name]["logging"]["options"]["max-size"]


@each_service
def test_service_starts_on_one_core(name: str) -> None:
    """The engine refuses a limit of more cores than the machine has."""
    cpus = SERVICES[name]["deploy"]["resources"]["limits"]["cpus"]
    assert cpus == "${CPUS:-2}" or float(cpus) <= 1


@pytest.mark.parametrize("name", sorted(OURS | {"migrations", "valkey"}))
def test_service_gets_no_capability_back(name: str) -> None:
    assert "cap_add" not in SERVICES[name]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOTS))
def test_service_is_watched_and_restarted(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert "curl" not in str(SERVICES[name]["healthcheck"])


@each_service
def test_what_a_service_needs_is_waited_for(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_healthy"
        if needed in ONE_SHOTS:
            expected = "service_completed_successfully"
        elif needed in OURS:  # which wait for each other, and say so
            expected = "service_started"
        assert how["condition"] == expected


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOTS))
def test_a_start_is_noticed_soon(name: str) -> None:
    """Within a start period the engine of Docker 25 and later looks each 5 s."""
    watched = SERVICES[name]["healthcheck"]
    assert "start_period" not in watched
    assert watched["interval"] == "2s"
    assert watched["retries"] >= 5, "a start takes its time"


def test_gateways_share_the_port_of_one_network() -> None:
    assert SERVICES["edge"]["sysctls"] == {"net.ipv4.tcp_migrate_req": "1"}
    internal = set()
    for name in GATEWAYS:
        service = SERVICES[name]
        assert not {"networks", "ports"} & set(service)
        assert service["environment"]["GATEWAY_SHARE_PORT"] == "on"
        assert service["depends_on"]["edge"]["restart"] is True
        assert service["healthcheck"]["test"][-2:] == ["/edge.py", "check"]
        internal.add(service["environment"]["GATEWAY_INTERNAL_PORT"])
    assert len(internal) == len(GATEWAYS)


def test_only_the_gateways_network_publishes_and_only_to_this_machine() -> None:
    publishing = {name for name, service in SERVICES.items() if "ports" in service}
    assert publishing == {"edge"}
    [port] = SERVICES["edge"]["ports"]
    assert port.startswith("${GATEWAY_BIND:-127.0.0.1}:")
    assert port.endswith(":8080")


def test_only_identity_and_its_migrations_reach_the_databases() -> None:
    on_data = {
        name
        for name, service in SERVICES.items()
        if "data" in service.get("networks", [])
    }
    assert on_data == {"identity", "migrations", "mysql", "valkey"}
    assert SERVICES["mysql"]["networks"] == ["data"]
    assert SERVICES["valkey"]["networks"] == ["data"]


def test_only_the_gateways_network_leads_out() -> None:
    networks = COMPOSE["networks"]
    inside = {name for name, network in networks.items() if network.get("internal")}
    assert inside == {"services", "data", "telemetry"}
    on_edge = {
        name
        for name, service in SERVICES.items()
        if "edge" in service.get("networks", [])
    }
    assert on_edge == {"edge"}


def test_internal_ports_are_reached_from_a_network_for_that() -> None:
    on_telemetry = {
        name
        for name, service in SERVICES.items()
        if "telemetry" in service.get("networks", [])
    }
    assert on_telemetry == {"edge", *OURS - GATEWAYS}
    assert SERVICES["edge"]["networks"]["telemetry"] == {"aliases": ["gateway"]}
    # Names of services that are in both networks mean those of the first by name.
    assert sorted(COMPOSE["networks"])[-2:] == ["services", "telemetry"]
    for name in OURS:
        prefix = SERVICES[name]["image"].removeprefix("gatehouse-").upper()
        environment = SERVICES[name]["environment"]
        assert environment[f"{prefix}_INTERNAL_HOST"] == "0.0.0.0"  # noqa: S104


@pytest.mark.parametrize("name", ["secrets", "mysql", "valkey", "edge"])
def test_foreign_image_is_pinned(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].partition(":")
    assert tag
    assert tag != "latest"


@each_service
def test_no_secret_stands_in_the_file(name: str) -> None:
    environment = SERVICES[name].get("environment", {})
    secret = {
        spec.name for kind in SETTINGS.values() for spec in specs(kind) if spec.secret
    }
    for variable, value in environment.items():
        assert variable not in secret
        if SECRET_WORDS.search(variable):
            assert variable.endswith("_FILE")
            assert value.startswith("/")


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_variable_is_one_that_the_service_reads(name: str) -> None:
    known = {"HEALTHCHECK_URL"}
    for spec in specs(SETTINGS[name]):
        known |= {spec.name, f"{spec.name}_FILE"} if spec.secret else {spec.name}
    if name in GATEWAYS:
        overrides = {key.variable for each in sections() for key in each.keys.values()}
        known |= {
            variable.replace(NAME, upstream)
            for variable in overrides
            for upstream in map(str.upper, OURS - GATEWAYS)
        }
    assert set(SERVICES[name]["environment"]) <= known


def test_a_volume_of_secrets_has_one_reader() -> None:
    readers: dict[str, list[str]] = {}
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source, _, rest = volume.partition(":")
            if source.endswith("-secrets") and name != "secrets":
                readers.setdefault(source, []).append(name)
                assert rest.endswith(":ro")
    assert set(readers) == {
        volume for volume in COMPOSE["volumes"] if volume.endswith("-secrets")
    }
    assert all(len(names) == 1 for names in readers.values()), readers


def test_the_service_may_not_change_the_schema() -> None:
    grants = {
        account: {word.strip() for word in privileges.split(",")}
        for privileges, account in re.findall(
            r"GRANT ([\w, ]+?)\s+ON identity\.\* TO '(\w+)'", make_secrets.ACCOUNTS
        )
    }
    assert grants["identity"] == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert grants["identity_backup"] == {"SELECT"}
    assert grants["identity_restore"] == grants["identity_migrations"]
    assert "GRANT OPTION" not in make_secrets.ACCOUNTS
    assert "*.*" not in make_secrets.ACCOUNTS
    assert make_secrets.ACCOUNTS.count("GRANT ") == len(grants) == 4


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_engine_waits_longer_than_the_service_drains(name: str) -> None:
    defaults = {spec.name: spec.default for spec in specs(SETTINGS[name])}
    prefix = name.partition("-")[0].upper()
    drain = float(defaults[f"{prefix}_DRAIN_DELAY"] or "")
    grace = float(defaults[f"{prefix}_SHUTDOWN_GRACE"] or "")
    stop = SERVICES[name]["stop_grace_period"]
    assert float(stop.removesuffix("s")) > drain + grace


@pytest.mark.parametrize("name", ["content", "identity"])
def test_service_can_be_scaled_by_a_variable(name: str) -> None:
    service = SERVICES[name]
    assert not {"container_name", "ports", "hostname"} & set(service)
    assert service["deploy"]["replicas"] == f"${{{name.upper()}_REPLICAS:-1}}"


def test_the_gateway_finds_every_replica_of_content() -> None:
    upstream = SERVICES["gateway"]["environment"]["GATEWAY_UPSTREAM_CONTENT"]
    assert upstream == "http://content:8002"


def test_identity_takes_no_proxy_in_front_of_the_gateways_for_a_client() -> None:
    """The gateways name it in X-Forwarded-For, after the client."""
    trusted = SERVICES["identity"]["environment"]["IDENTITY_TRUSTED_PROXIES"]
    assert "${GATEWAY_TRUSTED_PROXIES:-}" in trusted.split(",")


def test_the_database_logs_to_its_container() -> None:
    assert "--skip-log-error" in SERVICES["mysql"]["command"]


def test_example_names_every_variable_with_its_default() -> None:
    text = "".join(file.read_text() for file in compose_files())
    used: dict[str, str] = {}
    for name, default in re.findall(r"\$\{([A-Z_]+)(?::-([^{}$]*))?[^}]*\}", text):
        used[name] = used.get(name) or default
    required = set(re.findall(r"\$\{([A-Z_]+):?\?", text))
    shown = dict(re.findall(r"^(#?[A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert {name.removeprefix("#") for name in shown} == {*used, "COMPOSE_FILE"}
    for name, value in shown.items():
        if name.startswith("#"):
            variable = name.removeprefix("#")
            assert value == (used[variable] or "false") or variable in required, name
    assert shown["COMPOSE_FILE"] == ":".join(
        str(file.relative_to(ROOT)) for file in FILES
    )
    asked_for = set(re.findall(r"\$\{([A-Z_]+):?\?", FILES[1].read_text()))
    assert asked_for <= set(shown), "production asks for them"


def test_example_says_which_file_reads_what() -> None:
    """Only what the first two files read is there without a file being named."""
    _, *sections = re.split(r"^# --- .*:(deploy/\S+) .*$", EXAMPLE, flags=re.MULTILINE)
    for name, section in zip(sections[::2], sections[1::2], strict=True):
        wanted = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / name).read_text()))
        assert set(re.findall(r"^#?([A-Z_]+)=", section, re.MULTILINE)) == wanted
    assert {ROOT / name for name in sections[::2]} | set(FILES) == {
        file for file in compose_files() if "${" in file.read_text()
    }


def compose_files() -> list[Path]:
    """Return every file of the tree, but for the tests', that Compose may be given."""
    found = [ROOT / "docker-compose.yml", *(ROOT / "deploy").rglob("*.yml")]
    return [file for file in found if "\nservices:\n" in file.read_text()]


def test_every_secret_has_a_file_of_its_own() -> None:
    made = [secret.file_name for secret in make_secrets.make()]
    assert len(set(made)) == len(made) == 10
    production = FILES[1].read_text()
    assert set(re.findall(r"file: deploy/secrets/([\w.-]+)", production)) == set(made)


def test_keys_that_are_there_already_are_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as those that were copied by `cp secrets/*`, which leaves .complete out."""
    monkeypatch.setattr("os.chown", lambda *_: None)  # for which one has to be root
    folder = tmp_path / "secrets"
    key = folder / "key-encryption-keys"
    folder.mkdir()
    key.write_text("the one that opens everything")
    assert make_secrets.main([str(folder)]) == 1
    assert key.read_text() == "the one that opens everything"
    assert len(capsys.readouterr().err.splitlines()) == 1

    (folder / ".complete").touch()
    assert make_secrets.main([str(folder)]) == 0
    assert key.read_text() == "the one that opens everything"


def test_what_keeps_secrets_from_being_made_is_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(path: Path, *_: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", str(path))

    monkeypatch.setattr("os.chown", refused)
    for arguments, code, words in (
        ([str(tmp_path / "secrets")], 1, "run it as root"),
        ([str(tmp_path / "no" / "secrets")], 1, "No such file or directory"),
        (["--help"], 2, "usage: "),
    ):
        assert make_secrets.main(arguments) == code
        assert words in capsys.readouterr().err
    assert not (tmp_path / "secrets").exists()


def test_secrets_are_made_all_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "secrets"
    chowned: list[Path] = []

    def interrupted(path: Path, *_: int) -> None:
        chowned.append(path)
        if len(chowned) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("os.chown", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_secrets.main([str(folder)])
    assert not folder.exists()
    assert make_secrets.main([str(folder)]) == 0
    assert make_secrets.main([str(folder)]) == 0
    names = {secret.file_name for secret in make_secrets.make()}
    assert {file.name for file in folder.iterdir()} == {*names, ".complete"}
    assert [each.name for each in tmp_path.iterdir()] == ["secrets"]
