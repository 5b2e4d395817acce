"""Alerts and dashboard speak of metrics that exist; each alert fires on its fault (SPEC: reliability 6)."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sgtm.observability.names import GAUGES, HISTOGRAMS, METRICS

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "operations"
TESTS = ["alerts.tests.yaml", "alerts.days.tests.yaml"]
OF_PROMETHEUS = {"up": {"job", "instance"}}
OF_ALL = {"job", "instance", "le"}
NAME = re.compile(r"\b(up|(?:sgtm|process|python)_[a-z_]+)\b(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\bby \(([^)]*)\)")

RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())


def declared() -> dict[str, set[str]]:
    """Name -> labels of every series that there can be."""
    labels = {name: label for name, (label, _) in METRICS.items()}
    labels |= {name: one.label for name, one in GAUGES.items()}
    for name, (label, _) in HISTOGRAMS.items():
        labels |= {f"{name}_{part}": label for part in ("bucket", "sum", "count")}
    return OF_PROMETHEUS | {name: set(label.split("/")) | OF_ALL for name, label in labels.items()}


def expressions(node: Any) -> Iterator[str]:
    """Every `expr` of a dashboard."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if key == "expr":
            yield value
        elif isinstance(value, (dict, list)):
            yield from expressions(value)


DRAWN = list(expressions(DASHBOARD))


@pytest.mark.parametrize("expression", [*(rule["expr"] for rule in RULES), *DRAWN])
def test_every_metric_that_is_named_exists_with_its_labels(expression: str) -> None:
    known = declared()
    named = NAME.findall(expression)
    assert named or "sgtm:" in expression
    for name, selector in named:
        assert name in known, expression
        labels = set(re.findall(r"([a-z_]+)\s*(?:=~|!=|!~|=)", selector))
        assert labels <= known[name], expression
    if named:
        grouped = {one.strip() for group in GROUPING.findall(expression) for one in group.split(",")}
        assert grouped <= set.union(*(known[name] for name, _ in named)), expression


def promtool(*words: str | Path) -> tuple[int, str]:
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_promtool_reads_the_rules_the_scrape_and_what_the_dashboard_asks(tmp_path: Path) -> None:
    queries = [one.replace("$__rate_interval", "5m").replace("$job", ".+") for one in DRAWN]
    drawn = [{"record": f"drawn:{number}", "expr": query} for number, query in enumerate(queries)]
    path = tmp_path / "drawn.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "drawn", "rules": drawn}]}))
    for words in (
        ("check", "rules", FOLDER / "alerts.yaml"),
        ("check", "rules", path),
        ("check", "config", "--syntax-only", FOLDER / "prometheus.yaml"),
    ):
        status, said = promtool(*words)
        assert (status, "FAILED" in said) == (0, False), said


@pytest.mark.parametrize("file", TESTS)
def test_each_alert_fires_on_its_fault_and_is_quiet_otherwise(file: str) -> None:
    status, said = promtool("test", "rules", FOLDER / file)
    assert status == 0, said


def test_no_alert_is_without_a_fault_that_it_fires_on() -> None:
    groups = [group for file in TESTS for group in yaml.safe_load((FOLDER / file).read_text())["tests"]]
    fired: set[str] = set()
    for group in groups:
        samples = [one["exp_samples"] for one in group["promql_expr_test"]]
        assert [] in samples, f"{group['name']}: nothing says when it is quiet"
        fired |= set(re.findall(r'alertname="(\w+)"', str(samples)))
    assert fired == ALERTS.keys()


def test_each_alert_says_how_grave_it_is_and_leads_to_what_to_do() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text()
    headings = re.findall(r"^## (\w+)$", page, re.M)
    assert headings == list(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{name.lower()}"
        assert rule["annotations"]["summary"]


def test_each_alert_has_a_runbook_and_no_link_of_it_leads_nowhere() -> None:
    # SPEC: R246: server down, vendor failing, token revoked, queue growing, disk full, cost spike
    runbooks = (ROOT / "docs" / "runbooks.md").read_text()
    named = re.findall(r"\[(Sgtm\w+)\]\(alerts\.md#(\w+)\)", runbooks)
    assert sorted(name for name, _ in named) == sorted(ALERTS)
    assert all(anchor == name.lower() for name, anchor in named)
    headings = {"the server is down", "a vendor fails", "a token is revoked", "the queue grows"}
    headings |= {"the disk is full", "costs jump"}
    assert headings <= {one.lower() for one in re.findall(r"^## (.+)$", runbooks, re.M)}


def test_panels_do_not_overlap_and_each_asks_something() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells
        assert max(x for x, _ in own) < 24
        cells |= own
        assert panel["type"] == "row" or panel["targets"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
