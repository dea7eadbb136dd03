"""The autoscaling rule, tried on a load that rises tenfold in five minutes.

The rule is the file's. What one request costs is measured on real processes; what the
cluster does, which is not here, is simulated second by second: metrics are late, the
controller decides every 15 s, a pod needs its time until it takes requests.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.support.cluster import Cluster
from tests.support.load import Plan, running_load
from tests.support.processor import cpu_seconds

BASE: Final = Path(__file__).parents[2] / "deploy" / "k8s" / "base"
OBJECTS: Final[list[dict[str, Any]]] = [
    found
    for file in BASE.glob("*.yaml")
    for found in yaml.safe_load_all(file.read_text())
]

SYNC_SECONDS: Final = 15
"""How often the controller decides, and how old the metrics are that it has."""
POD_SECONDS: Final = 45
"""From the decision until requests arrive: a node, start, readiness, names' caches."""
TOLERANCE: Final = 0.1
"""The controller leaves deviations as small as this alone."""

RISE_SECONDS: Final = 300
RISE: Final = 10
LONGEST_P99: Final = 0.1


def named(kind: str, name: str) -> dict[str, Any]:
    [found] = [
        each
        for each in OBJECTS
        if each["kind"] == kind and each["metadata"]["name"] == name
    ]
    spec: dict[str, Any] = found["spec"]
    return spec


def cores(quantity: str) -> float:
    if quantity.endswith("m"):
        return int(quantity.removesuffix("m")) / 1000
    return float(quantity)


@dataclass
class Deployment:
    """Replicas under the rule of the file."""

    name: str
    seconds_per_request: float
    """Of CPU."""
    taking: int = 0
    starting: list[int] = field(default_factory=list)
    """When each of them takes requests."""
    metrics: list[float] = field(default_factory=list)
    """Cores in use by all, each second."""
    target: float = 0.0
    """Cores in use by each that the rule aims at."""

    def __post_init__(self) -> None:
        self.rule = named("HorizontalPodAutoscaler", self.name)
        pod = named("Deployment", self.name)["template"]["spec"]
        resources = pod["containers"][0]["resources"]
        self.requested = cores(resources["requests"]["cpu"])
        # A process of Python uses one core, whatever it is allowed to.
        self.usable = min(1.0, cores(resources["limits"]["cpu"]))
        [metric] = self.rule["metrics"]
        share = metric["resource"]["target"]["averageUtilization"] / 100
        self.target = share * self.requested
        self.taking = int(self.rule["minReplicas"])

    @property
    def steady_rate(self) -> float:
        """Requests a second at which the fewest replicas are just enough."""
        return self.target * self.taking / self.seconds_per_request

    def second(self, now: int, rate: float) -> float:
        """Let one second pass; return the p99 of its responses."""
        self.taking += sum(at <= now for at in self.starting)
        self.starting = [at for at in self.starting if at > now]
        used = rate * self.seconds_per_request
        self.metrics.append(used)
        if now % SYNC_SECONDS == 0 and now >= SYNC_SECONDS:
            self._decide(now)
        return self._p99(used / self.taking / self.usable)

    def _decide(self, now: int) -> None:
        known = self.metrics[-2 * SYNC_SECONDS : -SYNC_SECONDS] or self.metrics[:1]
        ratio = sum(known) / len(known) / self.taking / self.target
        present = self.taking + len(self.starting)
        if abs(ratio - 1) <= TOLERANCE:
            return
        wanted = min(math.ceil(self.taking * ratio), self.rule["maxReplicas"])
        allowed = present + max(
            policy["value"]
            if policy["type"] == "Pods"
            else math.ceil(present * policy["value"] / 100)
            for policy in self.rule["behavior"]["scaleUp"]["policies"]
        )
        more = min(wanted, allowed) - present
        self.starting += [now + POD_SECONDS] * max(0, more)

    def _p99(self, busy: float) -> float:
        """Of a queue with one server, whose service times vary as exponentials do."""
        if busy >= 1:
            return math.inf
        return self.seconds_per_request / self.usable * math.log(100) / (1 - busy)


def p99s(deployment: Deployment, rise_seconds: int) -> Iterator[float]:
    """Yield the p99 of every second of a steady load that rises and stays."""
    low = deployment.steady_rate
    for now in range(2 * RISE_SECONDS):
        share = min(1.0, max(0, now - 60) / rise_seconds)
        yield deployment.second(now, low * (1 + (RISE - 1) * share))


@pytest.fixture(scope="module")
def seconds_per_request(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, float]:
    """What a request for a protected resource costs content and the gateway."""
    with Cluster(tmp_path_factory.mktemp("cluster"), content=1) as cluster:
        processes = {"content": cluster.content[0], "gateway": cluster.gateway}
        plan = Plan(
            ports=[cluster.gateway.port], token=cluster.new_token(), rate=300, clients=8
        )
        with running_load(plan) as load:
            time.sleep(1)
            before = {name: cpu_seconds(each.pid) for name, each in processes.items()}
            began_at = time.monotonic()
            time.sleep(3)
            after = {name: cpu_seconds(each.pid) for name, each in processes.items()}
            ended_at = time.monotonic()
            report = load.report()
    requests = len(report.between(began_at, ended_at).requests)
    assert requests > 300
    assert not report.failed
    return {name: (after[name] - before[name]) / requests for name in processes}


@pytest.mark.parametrize("name", ["content", "gateway"])
def test_latency_holds_while_the_load_rises_tenfold(
    seconds_per_request: dict[str, float], name: str
) -> None:
    deployment = Deployment(name, seconds_per_request[name])
    longest = max(p99s(deployment, RISE_SECONDS))
    assert longest < LONGEST_P99, f"{longest:.3f} s, {deployment.taking} replicas"
    assert deployment.taking <= deployment.rule["maxReplicas"]
    assert deployment.taking >= (RISE - 1) * deployment.rule["minReplicas"]


def test_the_simulation_sees_a_rule_that_acts_too_late(
    seconds_per_request: dict[str, float],
) -> None:
    deployment = Deployment("content", seconds_per_request["content"])
    deployment.target *= 3
    assert max(p99s(deployment, RISE_SECONDS)) > LONGEST_P99
