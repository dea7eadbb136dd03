"""What the Kubernetes manifests promise, read from the files themselves."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.support.missing import skip_missing

from content_service.settings import Settings as ContentSettings
from gateway_service.settings import GatewaySettings
from identity_service.settings import Settings as IdentitySettings
from service_kit.settings import specs

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "deploy" / "k8s"


def _kustomization(folder: str) -> dict[str, Any]:
    file = FOLDER / folder / "kustomization.yaml"
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


BASE: Final = _kustomization("base")
PRODUCTION: Final = _kustomization("overlays/production")
OBJECTS: Final[list[dict[str, Any]]] = [
    found
    for file in BASE["resources"]
    for found in yaml.safe_load_all((FOLDER / "base" / file).read_text())
]
SETTINGS: Final[Mapping[str, type]] = {
    "identity": IdentitySettings,
    "content": ContentSettings,
    "gateway": GatewaySettings,
}


def _named(kind: str) -> dict[str, dict[str, Any]]:
    return {
        found["metadata"]["name"]: found for found in OBJECTS if found["kind"] == kind
    }


ENDPOINT_SECONDS: Final = 10
"""How long proxies and resolvers may take to hear that an endpoint is gone."""

DEPLOYMENTS: Final = _named("Deployment")
WORKLOADS: Final = DEPLOYMENTS | _named("Job")
POLICIES: Final = _named("NetworkPolicy")

each_workload = pytest.mark.parametrize("name", sorted(WORKLOADS))
each_deployment = pytest.mark.parametrize("name", sorted(DEPLOYMENTS))


def _pod(name: str) -> dict[str, Any]:
    pod: dict[str, Any] = WORKLOADS[name]["spec"]["template"]["spec"]
    return pod


def _container(name: str) -> dict[str, Any]:
    [container] = _pod(name)["containers"]
    assert isinstance(container, dict)
    return container


def _labels(name: str) -> dict[str, str]:
    labels: dict[str, str] = WORKLOADS[name]["spec"]["template"]["metadata"]["labels"]
    return labels


def test_every_file_is_applied() -> None:
    files = {file.name for file in (FOLDER / "base").iterdir()}
    assert files == {*BASE["resources"], "kustomization.yaml", "gateway.toml"}
    assert set(DEPLOYMENTS) == set(SETTINGS)


@each_workload
def test_pod_is_confined(name: str) -> None:
    pod, container = _pod(name), _container(name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] >= 10_000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert not [volume for volume in pod["volumes"] if "hostPath" in volume]


@each_workload
def test_pod_is_limited(name: str) -> None:
    resources = _container(name)["resources"]
    for bound in ("requests", "limits"):
        assert set(resources[bound]) == {"cpu", "memory"}


@each_workload
def test_no_secret_stands_in_an_environment(name: str) -> None:
    secret = {
        spec.name for kind in SETTINGS.values() for spec in specs(kind) if spec.secret
    }
    literals = {
        line.partition("=")[0]
        for generated in PRODUCTION["configMapGenerator"]
        for line in generated.get("literals", [])
    }
    variables = {each["name"] for each in _container(name)["env"]}
    assert not (variables | literals) & secret
    for volume in _pod(name)["volumes"]:
        if "secret" in volume:
            assert volume["secret"]["defaultMode"] & 0o007 == 0


@each_deployment
def test_liveness_asks_nobody_and_readiness_everybody(name: str) -> None:
    container = _container(name)
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["startupProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    defaults = {spec.name: spec.default for spec in specs(SETTINGS[name])}
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    assert ports["http"] == defaults[f"{name.upper()}_PORT"]
    assert ports["internal"] == defaults[f"{name.upper()}_INTERNAL_PORT"]


@each_deployment
def test_update_and_eviction_take_no_capacity(name: str) -> None:
    spec = DEPLOYMENTS[name]["spec"]
    scaled = _named("HorizontalPodAutoscaler")
    if name in scaled:
        assert "replicas" not in spec, "applying would undo what was scaled"
        assert scaled[name]["spec"]["minReplicas"] >= 2
        assert scaled[name]["spec"]["scaleTargetRef"]["name"] == name
    else:
        assert spec["replicas"] >= 2
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    budget = _named("PodDisruptionBudget")[name]["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow", "nodes drain anyway"
    assert budget["selector"]["matchLabels"] == _labels(name)


@each_deployment
def test_the_cluster_waits_longer_than_the_service_drains(name: str) -> None:
    defaults = {spec.name: spec.default for spec in specs(SETTINGS[name])}
    values = {each["name"]: each["value"] for each in _container(name)["env"]}
    drain = float(values[f"{name.upper()}_DRAIN_DELAY"])
    grace = float(defaults[f"{name.upper()}_SHUTDOWN_GRACE"] or "")
    assert _pod(name)["terminationGracePeriodSeconds"] > drain + grace
    assert drain >= ENDPOINT_SECONDS


@pytest.mark.parametrize("name", ["identity", "content"])
def test_the_gateway_itself_sees_who_is_ready(name: str) -> None:
    """A name without those that are not would be no name when none is."""
    spec = _named("Service")[name]["spec"]
    assert spec["clusterIP"] == "None"
    assert spec["publishNotReadyAddresses"] is True


def test_nobody_speaks_unless_a_policy_says_so() -> None:
    nobody = POLICIES["nobody"]["spec"]
    assert nobody == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@each_workload
def test_policy_selects_the_pods(name: str) -> None:
    assert POLICIES[name]["spec"]["podSelector"]["matchLabels"] == _labels(name)


@pytest.mark.parametrize("name", sorted(set(POLICIES) - {"nobody"}))
def test_policy_names_its_peers(name: str) -> None:
    spec = POLICIES[name]["spec"]
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule in spec.get(direction, []):
            assert rule[peers]
            assert rule["ports"]
            assert all(selector for peer in rule[peers] for selector in peer.values())


def test_names_are_asked_of_the_cluster_or_of_its_nodes_cache() -> None:
    (rule,) = POLICIES["names"]["spec"]["egress"]
    assert {port["port"] for port in rule["ports"]} == {53}
    kube_dns, cache = rule["to"]
    assert kube_dns["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
    assert cache == {"ipBlock": {"cidr": "169.254.20.10/32"}}


def test_only_identity_reaches_the_databases() -> None:
    reaching = {
        name
        for name, policy in POLICIES.items()
        for rule in policy["spec"].get("egress", [])
        if {3306, 6379} & {port["port"] for port in rule["ports"]}
    }
    assert reaching == {"identity", "identity-migrations"}


def test_images_are_pinned_by_digest() -> None:
    digests = {image["name"]: image["digest"] for image in PRODUCTION["images"]}
    assert set(digests) == {_container(name)["image"] for name in WORKLOADS}
    assert all(digest.startswith("sha256:") for digest in digests.values())


def test_pods_of_a_deployment_are_spread() -> None:
    for name in DEPLOYMENTS:
        keys = {each["topologyKey"] for each in _pod(name)["topologySpreadConstraints"]}
        assert keys == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}


def test_the_gateways_configuration_is_the_one_of_the_other_deployments() -> None:
    copy = (FOLDER / "base" / "gateway.toml").read_bytes()
    assert copy == (ROOT / "deploy" / "gateway.toml").read_bytes(), "run make docs"


def test_alerts_are_those_of_the_other_deployments() -> None:
    copy = (FOLDER / "components" / "monitoring" / "alerts.yaml").read_text()
    rules = (ROOT / "deploy" / "observability" / "alerts.yml").read_text()
    assert yaml.safe_load(copy)["spec"] == yaml.safe_load(rules), "run make docs"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The production overlay, with the other way in beside it, in one file."""
    if shutil.which("kubectl") is None:
        skip_missing("kubectl, which renders the manifests, is not installed")
    file = tmp_path_factory.mktemp("rendered") / "production.yaml"
    made = subprocess.run(
        ["kubectl", "kustomize", FOLDER / "overlays" / "production"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert not made.stderr
    file.write_text(made.stdout)
    return file


def _tool(name: str) -> str:
    """Return a program that is installed, or in an environment of its own."""
    folders = os.pathsep.join(
        [str(ROOT / ".local" / "manifests/bin"), os.environ["PATH"]]
    )
    found = shutil.which(name, path=folders)
    if found is None:
        skip_missing(f"{name} is not installed")
    return found


def test_rendered_objects_belong_together(rendered: Path) -> None:
    objects = list(yaml.safe_load_all(rendered.read_text()))
    names = {(each["kind"], each["metadata"]["name"]) for each in objects}
    assert ("Job", "identity-migrations-0.1.0") in names
    assert {("ServiceMonitor", "gatehouse"), ("PrometheusRule", "gatehouse")} <= names
    assert ("Ingress", "gatehouse") in names
    for each in objects:
        if each["kind"] == "Namespace":
            continue
        assert each["metadata"]["namespace"] == "gatehouse"
    config_maps = {name for kind, name in names if kind == "ConfigMap"}
    used = set(
        re.findall(r"gate(?:house|way-config)-[a-z0-9]{10}", rendered.read_text())
    )
    assert config_maps == used, "every pod uses a generated name"
    [service] = [
        e
        for e in objects
        if e["metadata"]["name"] == "gateway" and e["kind"] == "Service"
    ]
    assert "image: gatehouse-" not in rendered.read_text()
    assert {port["name"] for port in service["spec"]["ports"]} == {"http", "internal"}


def test_rendered_objects_are_valid(rendered: Path) -> None:
    checked = subprocess.run(
        [_tool("kubernetes-validate"), "--strict", rendered],
        check=False,
        capture_output=True,
        text=True,
    )
    complaints = [
        line
        for line in (checked.stdout + checked.stderr).splitlines()
        if "ServiceMonitor" not in line and not line.startswith("INFO")
    ]
    assert checked.returncode == 0, complaints


def test_checkov_finds_nothing_unexplained(rendered: Path) -> None:
    checked = subprocess.run(
        [
            *(_tool("checkov"), "--skip-download"),
            *("--framework", "kubernetes", "--file", rendered, "--output", "json"),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
    )
    results = json.loads(checked.stdout)
    failed = {
        (each["check_id"], each["resource"], each["check_name"])
        for each in results["results"]["failed_checks"]
    }
    assert not failed
    assert results["summary"]["passed"] > 100


def test_the_way_in_is_for_the_host_of_the_public_address(tmp_path: Path) -> None:
    objects = _with_components(tmp_path, "ingress", "gateway-api", host="my.test")
    ingress, gateway, route = (
        objects[kind, "gatehouse"] for kind in ("Ingress", "Gateway", "HTTPRoute")
    )
    assert [rule["host"] for rule in ingress["rules"]] == ["my.test"]
    assert [each["hosts"] for each in ingress["tls"]] == [["my.test"]]
    assert [each["hostname"] for each in gateway["listeners"]] == ["my.test"]
    assert route["hostnames"] == ["my.test"]


def _with_components(
    tmp_path: Path, *names: str, host: str = "accounts.example.org"
) -> dict[tuple[str, str], Any]:
    """Return what the production overlay specifies with these components alone."""
    if shutil.which("kubectl") is None:
        skip_missing("kubectl, which renders the manifests, is not installed")
    folder = tmp_path / "k8s"
    shutil.copytree(FOLDER, folder)
    overlay = folder / "overlays" / "production" / "kustomization.yaml"
    components = [f"../../components/{name}" for name in names]
    changed = yaml.dump({**PRODUCTION, "components": components})
    overlay.write_text(changed.replace("accounts.example.org", host))
    rendered = subprocess.run(
        ["kubectl", "kustomize", overlay.parent],
        check=True,
        capture_output=True,
        text=True,
    )
    return {
        (each["kind"], each["metadata"]["name"]): each["spec"]
        for each in yaml.safe_load_all(rendered.stdout)
        if "spec" in each
    }


def test_components_open_the_ways_to_mail_and_traces(tmp_path: Path) -> None:
    objects = _with_components(tmp_path, "mail", "traces")
    for name, ports in (("identity-mail", [465, 587]), ("traces", [4318])):
        (rule,) = objects["NetworkPolicy", name]["egress"]
        assert [each["port"] for each in rule["ports"]] == ports
    pod = objects["Deployment", "identity"]["template"]["spec"]
    names = {each["name"] for each in pod["containers"][0]["env"]}
    assert {"IDENTITY_MAIL_URL_FILE", "IDENTITY_DATABASE_URL_FILE"} <= names
