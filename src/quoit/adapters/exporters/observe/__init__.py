"""Files for those who watch a twin with Prometheus and Grafana; their metrics are rows of `quoit.model.metric`."""

from __future__ import annotations

from importlib.resources import files

DASHBOARD, ALERTS, SCRAPE = "grafana-dashboard.json", "alerts.yml", "prometheus.yml"
FILES = (DASHBOARD, ALERTS, SCRAPE)


def text_of(name: str) -> str:
    """One of `FILES` as text."""
    return (files(__package__) / name).read_text(encoding="utf-8")
