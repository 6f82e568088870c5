"""Metrics as samples, read with Prometheus' own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from voicechat.server.prometheus import Metrics

MetricValues = dict[tuple[str, ...], float]
"""(name, label values...) -> value."""


def parse_metrics(text: str) -> MetricValues:
    """Return the samples of a rendered page of metrics."""
    families = text_string_to_metric_families(text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def read_metrics(metrics: Metrics) -> MetricValues:
    """Return the present samples."""
    return parse_metrics(metrics.render().decode())
