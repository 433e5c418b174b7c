"""Dashboard, alert rules and scrape configuration: about metrics that there are, in forms that their readers take."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from quoit.adapters.exporters.observe import ALERTS, DASHBOARD, FILES, SCRAPE, text_of
from quoit.cli.main import main
from quoit.model.metric import METRICS, Kind

PANELS = json.loads(text_of(DASHBOARD))["panels"]
RULES = [rule for group in yaml.safe_load(text_of(ALERTS))["groups"] for rule in group["rules"]]
HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")
ALERTS_TEST = Path(__file__).parent / "alerts.test.yml"


def expressions() -> Iterator[str]:
    for panel in PANELS:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (rule["expr"] for rule in RULES)


def row_of(name: str) -> Any:
    for part in HISTOGRAM_PARTS:
        base = METRICS.get(name.removesuffix(part))
        if name.endswith(part) and base is not None and base.kind is Kind.HISTOGRAM:
            return base
    row = METRICS.get(name)
    assert row is not None, f"no metric is called {name}"
    assert row.kind is not Kind.HISTOGRAM, f"{name} has no series of that name"
    return row


@pytest.mark.realises("G1")
def test_every_metric_and_every_label_is_in_the_table() -> None:
    seen = set()
    for text in expressions():
        rows = [row_of(name) for name in re.findall(r"\bquoit_[a-z_]+", text)]
        assert rows, text
        labels = {"le"} | {label for row in rows for label in row.labels}
        named = set(re.findall(r"[{,]\s*([a-z_]+)\s*(?:=~|!~|!=|=)", text))
        for grouped in re.findall(r"by \(([^)]*)\)", text):
            named |= {label.strip() for label in grouped.split(",")}
        assert named <= labels, text
        seen |= {row.name for row in rows}
    assert len(seen) > 20


def test_counters_are_looked_at_by_their_growth_and_gauges_are_not() -> None:
    for text in expressions():
        for name in re.findall(r"\bquoit_[a-z_]+", text):
            grown = re.search(rf"(rate|increase)\([^()]*{name}[^()]*\[", text) is not None
            absent = f"absent({name}" in text
            assert absent or grown is (row_of(name).kind is not Kind.GAUGE) or f"changes({name}" in text, text


def test_legends_and_annotations_name_labels_that_are_left() -> None:
    for panel in PANELS:
        for target in panel.get("targets", ()):
            wanted = set(re.findall(r"{{\s*(\w+)\s*}}", target["legendFormat"]))
            assert wanted <= labels_left(target["expr"]), target
    for rule in RULES:
        wanted = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        assert wanted <= labels_left(rule["expr"]), rule


def labels_left(text: str) -> set[str]:
    grouped = re.findall(r"by \(([^)]*)\)", text)
    if grouped:
        return {label.strip() for group in grouped for label in group.split(",")}
    return {label for name in re.findall(r"\bquoit_[a-z_]+", text) for label in row_of(name).labels}


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    dashboard = json.loads(text_of(DASHBOARD))
    assert dashboard["schemaVersion"] >= 36, "data sources by reference came with 36"
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", dashboard["uid"])
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["datasource"]


def test_rules_have_names_of_their_own_and_say_how_severe_they_are() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    assert {rule["labels"]["severity"] for rule in RULES} <= {"critical", "warning"}
    assert all(rule["annotations"]["summary"] for rule in RULES)


def promtool(*arguments: str | Path) -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def written(tmp_path: Path) -> Path:
    with pytest.raises(SystemExit) as end:
        main(["observe", "--out", str(tmp_path / "watch")])
    assert end.value.code == 0
    return tmp_path / "watch"


def test_promtool_takes_rules_and_configuration(written: Path) -> None:
    promtool("check", "rules", written / ALERTS)
    (written / "role").mkdir()
    for name in ("root.pem", "role/observer.pem", "role/observer.key"):
        (written / name).touch()
    scrape = written / SCRAPE
    scrape.write_text(scrape.read_text().replace("DIR/pki", str(written)))
    promtool("check", "config", "--syntax-only", scrape)


def test_alerts_fire_when_they_should_and_not_before(written: Path) -> None:
    shutil.copy(ALERTS_TEST, written / "alerts.test.yml")
    promtool("test", "rules", written / "alerts.test.yml")


def test_files_that_are_there_stay(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (written / ALERTS).write_text("mine")
    with pytest.raises(SystemExit) as end:
        main(["observe", "--out", str(written)])
    assert end.value.code == 2
    assert "--force" in capsys.readouterr().err
    assert (written / ALERTS).read_text() == "mine"
    with pytest.raises(SystemExit) as end:
        main(["observe", "--out", str(written), "--force"])
    assert end.value.code == 0
    assert {path.name for path in written.iterdir()} == set(FILES)
    assert (written / ALERTS).read_text() == text_of(ALERTS)
