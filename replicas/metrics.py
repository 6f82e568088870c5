"""`python -m replicas.metrics URL ...`: the metrics of several replicas, added up, for reading without Prometheus.

Counters and histograms are added, and those gauges whose sum means something. Every other series keeps one line for
each replica, with its address as `instance`, as Prometheus names it. Times at which counters were created are left out.

A counter of a replica that starts again begins with 0, so a sum may fall. Prometheus' `rate` knows that: docs/scale.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

TIMEOUT_S = 5.0
"""Seconds for the answer of one replica."""
CREATED_SUFFIX = "_created"
ADDED_TYPES = frozenset({"counter", "histogram"})
ADDED_GAUGES = frozenset(
    {
        "voice_chat_conversations_open",
        "voice_chat_visitors_waiting",
        "voice_chat_slots_taken",
        "process_virtual_memory_bytes",
        "process_resident_memory_bytes",
        "process_open_fds",
    }
)
"""Gauges of what a replica has alone. Other gauges are limits, states, times, or counted over all replicas already."""


class MetricsUnavailable(Exception):
    """A replica gave no metrics. The message is one sentence."""


class _Families(Collector):
    """Metrics that were read, for `generate_latest`."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        return self._families


def add_up(pages: Mapping[str, str]) -> str:
    """Return the sum of pages of metrics in Prometheus' text format, by the replica's address. Raise ValueError."""
    families: dict[str, Metric] = {}
    sums: dict[tuple[str, str, tuple[tuple[str, str], ...]], float] = {}
    for instance, page in pages.items():
        for family in text_string_to_metric_families(page):
            if family.name.endswith(CREATED_SUFFIX):
                continue
            families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            is_added = family.type in ADDED_TYPES or family.name in ADDED_GAUGES
            for sample in family.samples:
                labels = sample.labels if is_added else {**sample.labels, "instance": instance}
                key = (family.name, sample.name, tuple(labels.items()))
                sums[key] = sums.get(key, 0.0) + sample.value
    for (name, sample_name, pairs), value in sums.items():
        families[name].add_sample(sample_name, dict(pairs), value)
    registry = CollectorRegistry()
    registry.register(_Families([*families.values()]))
    return generate_latest(registry).decode()


def fetch_page(client: httpx.Client, url: str) -> str:
    """Return the metrics of the replica at `url`. Raise MetricsUnavailable."""
    try:
        answer = client.get(f"{url.rstrip('/')}/metrics")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise MetricsUnavailable(f"{url} does not answer: {type(error).__name__}.") from None
    if answer.status_code != httpx.codes.OK:
        raise MetricsUnavailable(f"{url} answers HTTP {answer.status_code} in place of metrics.")
    return answer.text


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the sum. Return 1 when a replica is missing in it, after one sentence for each."""
    parser = argparse.ArgumentParser(prog="python -m replicas.metrics", description="Metrics of replicas, added up.")
    parser.add_argument("urls", nargs="+", metavar="URL", help="address of a replica, such as http://127.0.0.1:7861")
    parser.add_argument("--token-file", type=Path, help="file with one of API_TOKENS, where the app needs one")
    given = parser.parse_args(arguments)
    headers, pages, status = {}, {}, 0
    if given.token_file is not None:
        try:
            headers["Authorization"] = f"Bearer {given.token_file.read_text('utf-8').strip()}"
        except OSError as error:
            parser.error(f"--token-file cannot be read: {error.strerror}")
    with httpx.Client(headers=headers, timeout=TIMEOUT_S, trust_env=False) as client:
        for url in dict.fromkeys(given.urls):
            try:
                pages[urlsplit(url).netloc or url] = fetch_page(client, url)
            except MetricsUnavailable as missing:
                print(missing, file=sys.stderr)
                status = 1
    try:
        sys.stdout.write(add_up(pages))
    except ValueError:
        print("An answer has another form than Prometheus' metrics.", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
