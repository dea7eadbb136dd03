"""Dashboards and alerts name metrics that exist; alerts have cases and runbooks."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.reference.metrics import PAGE
from tests.support.missing import skip_missing

from content_service.settings import Settings as ContentSettings
from gateway_service.settings import GatewaySettings
from identity_service.domain.audit import Action
from identity_service.settings import Settings as IdentitySettings
from service_kit.settings import specs

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "deploy" / "observability"
DASHBOARDS: Final = sorted(FOLDER.glob("grafana/dashboards/*.json"))
RUNBOOKS: Final = (ROOT / "docs" / "runbooks.md").read_text("utf-8")

_OF_PROMETHEUS: Final = {"up", "ALERTS"}
_DOCUMENTED: Final = re.compile(r"^- `(\w+)` \((\w+)\)", re.MULTILINE)
_PARTS: Final = {
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("_count", "_sum"),
}
_MATCHERS_AND_LABELS: Final = re.compile(
    r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)|\boffset \w+"
)
_FUNCTIONS_AND_OPERATORS: Final = re.compile(
    r"\b\w+\s*(?=\()|\b(?:and|or|unless|bool)\b"
)
_NAMED: Final = re.compile(r'__name__=~"([^"]+)"')
_IDENTIFIER: Final = re.compile(r"[a-zA-Z_]\w*")


def exported() -> set[str]:
    """Return the names of all series that the services export."""
    names = set()
    for name, kind in _DOCUMENTED.findall(PAGE.read_text("utf-8")):
        names |= {name + part for part in _PARTS.get(kind, ("",))}
    return names


def metrics_in(expression: str) -> set[str]:
    """Return the names of the series that an expression asks for."""
    bare = _MATCHERS_AND_LABELS.sub(" ", expression)
    names = set(_IDENTIFIER.findall(_FUNCTIONS_AND_OPERATORS.sub(" ", bare)))
    for pattern in _NAMED.findall(expression):
        matching = {each for each in exported() if re.fullmatch(pattern, each)}
        names |= matching or {pattern}
    return names - _OF_PROMETHEUS


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS: Final = alerts()
NAMES: Final = [each["alert"] for each in ALERTS]


def expressions(dashboard: Path) -> Iterator[str]:
    for panel in json.loads(dashboard.read_text("utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]


def promtool(*arguments: str) -> str:
    if shutil.which("promtool") is None:
        skip_missing("promtool is not installed")
    ran = subprocess.run(
        ["promtool", *arguments],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    output = ran.stdout + ran.stderr
    assert ran.returncode == 0, output
    return output


def test_names_of_metrics_are_found_in_expressions() -> None:
    expression = (
        'sum by (a, b) (rate(one_total{status=~"5.."}[5m])) / on (a) two'
        ' > 0.01 unless up{job="x"} offset 5m == 1'
    )

    assert metrics_in(expression) == {"one_total", "two"}
    assert metrics_in('{__name__=~"none_of_ours"}') == {"none_of_ours"}


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_asks_for_metrics_that_exist(alert: dict[str, Any]) -> None:
    named = metrics_in(alert["expr"])

    assert named or "up{" in alert["expr"]
    assert named <= exported()


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_asks_for_metrics_that_exist(dashboard: Path) -> None:
    for expression in expressions(dashboard):
        named = metrics_in(expression)
        assert named or "ALERTS" in expression, expression
        assert named <= exported(), expression


def test_every_metric_of_the_services_stands_on_a_dashboard() -> None:
    shown = {
        name
        for dashboard in DASHBOARDS
        for expression in expressions(dashboard)
        for name in metrics_in(expression)
    }
    families = {name for name, _ in _DOCUMENTED.findall(PAGE.read_text("utf-8"))}
    hidden = {
        family for family in families if not any(s.startswith(family) for s in shown)
    }

    assert hidden == {
        # What these tell, others on the dashboards tell as well.
        "content_jwks_fetches_total",
        "content_status_list_fetches_total",
        "content_status_lists",
        "identity_status_list_bytes",
        "identity_status_list_entries_left",
        "identity_status_list_leases_total",
        "process_virtual_memory_bytes",
    }


def test_each_alert_has_a_case_that_sees_it_silent_and_firing() -> None:
    cases = yaml.safe_load((FOLDER / "alerts_test.yml").read_text("utf-8"))["tests"]

    assert [case["name"] for case in cases] == NAMES
    for case in cases:
        quiet, loud, *more = case["promql_expr_test"]
        assert "exp_samples" not in quiet
        assert loud["exp_samples"] == [{"value": 1}]
        for each in (quiet, loud, *more):
            assert f'alertname="{case["name"]}"' in each["expr"]


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    alarms, _, _ = RUNBOOKS.partition("## Leaked secrets")

    assert re.findall(r"^### (\w+)$", alarms, re.MULTILINE) == NAMES
    for alert in ALERTS:
        anchor = f"docs/runbooks.md#{alert['alert'].lower()}"
        assert alert["annotations"]["runbook"] == anchor
        assert alert["labels"]["severity"] in {"page", "ticket"}


def test_an_alert_of_one_process_names_it() -> None:
    of_one = [each for each in ALERTS if " by (" not in each["expr"]]

    assert of_one
    for alert in of_one:
        assert "$labels.instance" in alert["annotations"]["summary"], alert["alert"]


def test_runbooks_use_words_that_the_product_has() -> None:
    folders = ("shared/src", "gateway/src", "services/identity/src", "deploy")
    sources = (path for each in folders for path in (ROOT / each).rglob("*.py"))
    texts = (PAGE, *sources)
    known = {word for each in texts for word in re.findall(r"\w+", each.read_text())}
    words = {
        word.removesuffix("_away")  # see service_kit.counters
        for code in re.findall(r"`([^`\n]+)`", RUNBOOKS)
        for word in re.findall(r"(?<![\w/-])[a-z]+(?:_[a-z0-9]+)+", code)
    }

    assert not words - known


def test_runbooks_ask_for_audit_events_that_exist() -> None:
    asked = set(re.findall(r"/api/audit\?action=([\w.]+)", RUNBOOKS))

    assert asked
    assert asked <= {each.value for each in Action}


def test_each_secret_has_a_runbook() -> None:
    _, _, leaks = RUNBOOKS.partition("## Leaked secrets")
    settings = (IdentitySettings, ContentSettings, GatewaySettings)
    secrets = {spec.name for kind in settings for spec in specs(kind) if spec.secret}
    assert len(secrets) > 5
    assert not {name for name in secrets if name not in leaks}


def test_promtool_accepts_the_rules_and_their_cases() -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")
    promtool("check", "config", "prometheus.yml")


def test_dashboards_use_the_data_source_that_is_provisioned() -> None:
    source = yaml.safe_load((FOLDER / "grafana/datasources/prometheus.yml").read_text())
    uid = source["datasources"][0]["uid"]
    boards = [json.loads(path.read_text("utf-8")) for path in DASHBOARDS]

    for board in boards:
        panels = [each for each in board["panels"] if each["type"] != "row"]
        assert {each["datasource"]["uid"] for each in panels} == {uid}
        ids = [each["id"] for each in board["panels"]]
        assert len(ids) == len(set(ids))
    assert len({board["uid"] for board in boards}) == len(boards)


def test_the_observability_stack_mounts_files_that_are_there() -> None:
    compose = yaml.safe_load((FOLDER / "compose.yml").read_text("utf-8"))
    files = [each["file"] for each in compose["configs"].values()]
    files += [
        volume.partition(":")[0]
        for volume in compose["services"]["grafana"]["volumes"]
        if volume.startswith("./")
    ]

    assert files
    assert not [name for name in files if not (ROOT / name).exists()]
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_prometheus_asks_the_internal_ports() -> None:
    jobs = {
        each["job_name"]: each
        for each in yaml.safe_load((FOLDER / "prometheus.yml").read_text())[
            "scrape_configs"
        ]
    }

    services = tomllib.loads((ROOT / "deploy/services.toml").read_text("utf-8"))
    assert set(jobs) == set(services)
    for name in services.keys() - {"gateway"}:
        (asked,) = jobs[name]["dns_sd_configs"]
        assert asked["names"] == [name]
        assert asked["port"] == services[name]["internal_port"]


def test_alerts_of_processes_are_for_every_service() -> None:
    services = tomllib.loads((ROOT / "deploy/services.toml").read_text("utf-8"))
    for name in ("ServiceDown", "ServiceRestarts", "DescriptorsNearLimit"):
        (alert,) = (each for each in ALERTS if each["alert"] == name)
        (jobs,) = re.findall(r'job=~"([^"]+)"', alert["expr"])
        assert set(jobs.split("|")) == set(services)
