"""What the Kubernetes manifests promise, read from the files themselves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from content_service.settings import Settings as ContentSettings
from gateway_service.settings import GatewaySettings
from identity_service.settings import Settings as IdentitySettings
from service_kit.settings import specs

ROOT: Final = Path(__file__).parents[2]
KUSTOMIZATION: Final[dict[str, Any]] = yaml.safe_load(
    (ROOT / "deploy" / "kustomization.yaml").read_text()
)
OBJECTS: Final[list[dict[str, Any]]] = [
    found
    for file in KUSTOMIZATION["resources"]
    for found in yaml.safe_load_all((ROOT / "deploy" / file).read_text())
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
    files = {f"k8s/{file.name}" for file in (ROOT / "deploy" / "k8s").iterdir()}
    assert files == set(KUSTOMIZATION["resources"])
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
        for generated in KUSTOMIZATION["configMapGenerator"]
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
    assert spec["replicas"] >= 2
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    budget = _named("PodDisruptionBudget")[name]["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"]["matchLabels"] == _labels(name)


@each_deployment
def test_the_cluster_waits_longer_than_the_service_drains(name: str) -> None:
    defaults = {spec.name: spec.default for spec in specs(SETTINGS[name])}
    values = {each["name"]: each["value"] for each in _container(name)["env"]}
    drain = float(values[f"{name.upper()}_DRAIN_DELAY"])
    grace = float(defaults[f"{name.upper()}_SHUTDOWN_GRACE"] or "")
    assert _pod(name)["terminationGracePeriodSeconds"] > drain + grace


def test_nobody_speaks_unless_a_policy_says_so() -> None:
    nobody = POLICIES["nobody"]["spec"]
    assert nobody == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@each_workload
def test_policy_selects_the_pods(name: str) -> None:
    assert POLICIES[name]["spec"]["podSelector"]["matchLabels"] == _labels(name)


def test_only_the_gateway_is_reached_by_everyone() -> None:
    open_to_all = {
        name
        for name, policy in POLICIES.items()
        for rule in policy["spec"].get("ingress", [])
        if "from" not in rule
    }
    assert open_to_all == {"gateway"}


def test_only_identity_reaches_the_databases() -> None:
    reaching = {
        name
        for name, policy in POLICIES.items()
        for rule in policy["spec"].get("egress", [])
        if {3306, 6379} & {port["port"] for port in rule["ports"]}
    }
    assert reaching == {"identity", "identity-migrations"}


def test_images_are_pinned() -> None:
    tags = {image["name"]: image["newTag"] for image in KUSTOMIZATION["images"]}
    assert set(tags) == {_container(name)["image"] for name in WORKLOADS}
    assert "latest" not in tags.values()
