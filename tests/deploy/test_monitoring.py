"""Prometheus and its dashboard: only metrics that exist, with labels that they have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import Field

from tests.support.deploy.deploy_files import ComposeModel, Duration, Text, read_compose, read_yaml
from voicechat.config.session_update import SessionMode
from voicechat.limits.admission import AdmissionKind
from voicechat.limits.pricing import TokenUsage
from voicechat.server.embedded_server import EmbeddedServerPhase
from voicechat.server.prometheus import Metrics
from voicechat.server.replica_status import SharedStateStatus, SlotUse

SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
"""Endings of the samples of a metric, by type; others have none."""
TARGET_LABELS = {"instance", "job"}
"""Labels that Prometheus adds to each sample: the replica's address, and the job of `prometheus.yml`."""
METRIC = re.compile(r"\b((?:voice_chat|process)_\w+|up)\b(?:\{([^}]*)\})?")


class AlertAnnotations(ComposeModel):
    """Text of an alert."""

    summary: Text


class AlertRule(ComposeModel):
    """Alert of Prometheus."""

    alert: Annotated[str, Field(pattern="^[A-Z][A-Za-z]+$")]
    expr: Text
    for_: Annotated[Duration, Field(alias="for")]
    annotations: AlertAnnotations


class AlertGroup(ComposeModel):
    """Alerts that are evaluated together."""

    name: Text
    rules: Annotated[list[AlertRule], Field(min_length=1)]


class AlertFile(ComposeModel):
    """Rule file of Prometheus."""

    groups: list[AlertGroup]


class GlobalScrape(ComposeModel):
    """Intervals of Prometheus."""

    scrape_interval: Duration
    evaluation_interval: Duration


class DnsDiscovery(ComposeModel):
    """Replicas by a name with several addresses."""

    names: list[Text]
    type: Annotated[str, Field(pattern="^A$")]
    port: int


class ScrapeAuthorization(ComposeModel):
    """Token of the requests."""

    credentials_file: Annotated[str, Field(pattern="^/run/secrets/")]


class ScrapeJob(ComposeModel):
    """Programs that Prometheus asks."""

    job_name: Text
    dns_sd_configs: list[DnsDiscovery]
    authorization: ScrapeAuthorization


class PrometheusFile(ComposeModel):
    """Configuration of Prometheus."""

    global_: Annotated[GlobalScrape, Field(alias="global")]
    rule_files: list[Text]
    scrape_configs: list[ScrapeJob]


def read_alerts() -> list[AlertRule]:
    """Return all alerts."""
    return [rule for group in AlertFile.model_validate(read_yaml("alerts.yml")).groups for rule in group.rules]


def existing_samples() -> dict[str, set[str]]:
    """Return the name of each sample of a replica, and its labels."""
    metrics = Metrics()
    metrics.record_call_started()
    metrics.record_call_ended("hung_up", SessionMode.VOICE)
    metrics.record_turn(0.5)
    metrics.record_tokens(TokenUsage(text_in=1))
    metrics.record_tool_call("current_time", "done", 0.1)
    slots = {kind: SlotUse(1, 2, 8) for kind in AdmissionKind}
    metrics.set_shared_state("replica", SharedStateStatus.OK, slots)
    metrics.set_embedded_phase(EmbeddedServerPhase.READY)
    samples: dict[str, set[str]] = {"up": set()}
    for family in metrics.registry.collect():
        for ending in SUFFIXES.get(family.type, [""]):
            name = family.name + ending
            samples[name] = {label for one in family.samples if one.name == name for label in one.labels}
    return samples


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_yaml("dashboard.json")["panels"]
    return found


def expressions() -> Iterator[str]:
    """Yield all queries of the dashboard and of the alerts."""
    yield from (target["expr"] for panel in panels() for target in panel["targets"])
    yield from (rule.expr for rule in read_alerts())


def find_unknown_names(expression: str) -> set[str]:
    """Return metrics and labels of a query that no replica has."""
    samples = existing_samples()
    used = METRIC.findall(expression)
    unknown = {name for name, _ in used if name not in samples}
    labels = {label for _, selector in used for label in re.findall(r"(\w+)\s*[=!]", selector)}
    for group in re.findall(r"\bby \(([^)]*)\)", expression):
        labels |= {label.strip() for label in group.split(",")}
    known = TARGET_LABELS.union(*(samples.get(name, set()) for name, _ in used))
    return unknown | (labels - known)


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_query_names_metrics_and_labels_that_exist(expression: str) -> None:
    assert METRIC.search(expression)
    assert find_unknown_names(expression) == set()
    assert expression.count("(") == expression.count(")") and expression.count("{") == expression.count("}")


@pytest.mark.parametrize(
    ("expression", "unknown"),
    [
        ("sum(voice_chat_calls_open)", {"voice_chat_calls_open"}),
        ("rate(voice_chat_turns[1m])", {"voice_chat_turns"}),
        ("sum by (room) (voice_chat_conversations_open)", {"room"}),
        ('voice_chat_visitors_waiting{who="x"}', {"who"}),
    ],
)
def test_unknown_metric_or_label_is_found(expression: str, unknown: set[str]) -> None:
    assert find_unknown_names(expression) == unknown


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_counters_are_summed_after_their_rate(expression: str) -> None:
    """A replica that starts again counts from 0, and only rate() knows that of a single counter."""
    for name, _ in METRIC.findall(expression):
        if name.endswith(("_total", "_bucket")):
            assert re.search(rf"\brate\({name}\b[^)]*\[\d+[smh]\]\)", expression)


def test_dashboard_has_distinct_panels_on_a_grid_without_overlap() -> None:
    dashboard = read_yaml("dashboard.json")
    assert dashboard["title"] and dashboard["uid"] and dashboard["schemaVersion"] >= 36
    assert len({panel["id"] for panel in panels()}) == len({panel["title"] for panel in panels()}) == len(panels())
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels()
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
    assert all(panel["description"] for panel in panels())


def test_prometheus_asks_each_replica_with_the_token_of_the_compose_file() -> None:
    file = PrometheusFile.model_validate(read_yaml("prometheus.yml"))
    (job,) = file.scrape_configs
    compose = read_compose()
    (discovery,) = job.dns_sd_configs
    assert discovery.names == ["app"] and "app" in compose.services
    assert discovery.port == int(compose.services["app"].environment["PORT"])
    (secret,) = compose.services["prometheus"].secrets
    assert job.authorization.credentials_file == f"/run/secrets/{secret}"
    assert [f"./{name}:/etc/prometheus/{name}:ro" for name in file.rule_files] == [
        volume for volume in compose.services["prometheus"].volumes if "alerts" in volume
    ]
    assert all(f'job="{job.job_name}"' in text for text in expressions() if re.search(r"\bup\b", text))


def test_alerts_have_distinct_names_and_a_sentence() -> None:
    alerts = read_alerts()
    assert len({rule.alert for rule in alerts}) == len(alerts)
    assert all(rule.annotations.summary.endswith(".") for rule in alerts)
