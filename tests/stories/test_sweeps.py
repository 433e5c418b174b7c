"""Stories of parameter studies: any number of workers, a kill in the middle, a point that cannot be, a plot."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quoit.adapters.executors.processes import Processes
from quoit.cli.main import main
from quoit.scenario.sweep import tables
from quoit.scenario.sweep.check import load
from quoit.scenario.sweep.conduct import conduct
from quoit.scenario.sweep.study import Study
from quoit.scenario.sweep.work import perform

CHAIN = """sweep: 1
name: story
seeds: 2
base:
  chain:
    hops: 2
    length: 10 km
    attenuation: 0.2 dB/km
    hardware: {success: 0.05, fidelity: 0.95, attempt: 10 us}
    t2: 20 ms
    pairs: 400
axes:
  chain.length: {from: 10 km, to: 30 km, steps: 3}
  chain.cutoff: [2 ms, 20 ms]
"""
NETWORK = """sweep: 1
name: story
seeds: 2
base: {network: net.yaml, until: 8s}
axes:
  network.spans.alice--bob.length: [10 km, 40 km]
  network.links.alice--bob.protocol: [bb84-decoy, bbm92]
figures: [secret_bps]
"""
TWO_NODES = """quoit: 1
name: two
nodes: {alice: {}, bob: {}}
spans: [{between: [alice, bob], length: 10 km}]
profiles: {small: {base: bb84-gigahertz, block_bits: 1000000, post_time_s: 0.2}}
links: [{between: [alice, bob], protocol: bb84-decoy}]
"""
TABLES = ("table.csv", "table.parquet", "summary.csv", "summary.parquet")


def study_of(directory: Path, text: str) -> Study:
    file = directory / "sweep.yaml"
    file.write_text(text)
    (directory / "net.yaml").write_text(TWO_NODES)
    return load(file)


def written(study: Study, out: Path, results: Any) -> dict[str, bytes]:
    tables.write_tables(out, study, results)
    return {name: (out / name).read_bytes() for name in TABLES}


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return int(str(end.value.code))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def children_of(pid: int) -> list[int]:
    """Workers of a process, by the parent that the system tells."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody has collected does not."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip()) and not found.stdout.startswith("Z")


def test_the_same_bytes_for_any_number_of_workers_and_after_a_kill(tmp_path: Path) -> None:
    """Killed with -9 once a third of the runs is on disk; what was finished is not run again, and no worker stays."""
    study = study_of(tmp_path, CHAIN)
    out, points = tmp_path / "killed", tmp_path / "killed" / "points.jsonl"
    arguments = ["sweep", str(tmp_path / "sweep.yaml"), "--out", str(out), "--workers", "2"]
    running = subprocess.Popen([sys.executable, "-m", "quoit.cli.main", *arguments], stdout=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not (points.exists() and points.read_bytes().count(b"\n") >= 4):
        assert running.poll() is None, "the study ended before it was killed"
        assert time.monotonic() < end
        time.sleep(0.01)
    workers = children_of(running.pid)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    before = points.read_bytes()
    assert 4 <= before.count(b"\n") < 12
    with points.open("ab") as torn:
        torn.write(before.splitlines()[0][:40])

    results = conduct(study, out, Processes(2), resume=True)
    assert len(results) == 12
    after = points.read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == 12
    found = written(study, out, results)
    for number in (1, 3):
        whole = tmp_path / str(number)
        assert written(study, whole, conduct(study, whole, Processes(number))) == found
    assert len(rows(out / "table.csv")) == 12
    assert len(workers) >= 2
    assert not any(alive(worker) for worker in workers)


def test_a_point_that_cannot_be_is_told_and_stops_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Profile `small` is for decoy BB84 alone, which only the pair of values shows."""
    text = NETWORK.replace(
        "  network.spans.alice--bob.length: [10 km, 40 km]\n", "  network.links.0.profile: [bb84-gigahertz, small]\n"
    ).replace("alice--bob.protocol", "0.protocol")
    study_of(tmp_path, text)
    arguments = ("sweep", str(tmp_path / "sweep.yaml"), "--out", str(tmp_path / "out"), "--workers", "1")
    assert command(*arguments, "--json", "--plot") == 1
    told = msgspec.json.decode(capsys.readouterr().out)
    assert (told["points"], told["runs"], told["failed"]) == (4, 8, 4)
    assert all("is not for protocol bbm92" in fault["fault"] for fault in told["faults"])
    found = rows(tmp_path / "out" / "table.csv")
    assert [row["fault"] != "" for row in found] == [False, False, True, True] * 2
    assert all(float(row["secret_bps"]) > 10_000 for row in found if not row["fault"])
    assert (tmp_path / "out" / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert "bb84-decoy" in (tmp_path / "out" / "plot.svg").read_text()

    assert command(*arguments) == 2
    assert "go on with --resume" in capsys.readouterr().err


def test_a_run_of_a_network_is_the_one_of_quoit_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = NETWORK.replace("  network.links.alice--bob.protocol: [bb84-decoy, bbm92]\n", "").replace("[10 km, ", "[")
    study = study_of(tmp_path, text.replace("seeds: 2", "seeds: [5]").replace("8s", "30s"))
    result = perform(next(study.runs()))
    (tmp_path / "net.yaml").write_text(TWO_NODES.replace("length: 10 km", "length: 40 km"))
    seed = str(result.seed)
    assert command("run", str(tmp_path / "net.yaml"), "--until", "30s", "--seed", seed, "--json") == 0
    told = msgspec.json.decode(capsys.readouterr().out)
    figures = result.figures
    assert figures["links.alice--bob.blocks"] == told["links"][0]["blocks"] > 1
    assert figures["qber"] == pytest.approx(told["links"][0]["qber"], rel=0.1)


def test_summaries_hold_means_with_their_intervals(tmp_path: Path) -> None:
    text = CHAIN.replace("seeds: 2", "seeds: 3").replace("steps: 3", "steps: 2").replace("[2 ms, 20 ms]", "[5 ms]")
    study = study_of(tmp_path, text)
    results = {run.key: perform(run) for run in study.runs()}
    written(study, tmp_path, results)
    first = rows(tmp_path / "summary.csv")[0]
    rates = [results[0, repeat].figures["rate_hz"] or 0 for repeat in range(3)]
    mean = sum(rates) / 3
    spread = (sum((rate - mean) ** 2 for rate in rates) / 2) ** 0.5
    assert float(first["rate_hz_mean"]) == pytest.approx(mean)
    assert float(first["rate_hz_ci95"]) == pytest.approx(4.302653 * spread / 3**0.5, rel=1e-6)
    told = [first[name] for name in ("chain.length_km", "chain.cutoff_ms", "runs", "failed")]
    assert told == ["10.0", "5.0", "3", "0"]


def test_dask_gives_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: quoit[dask]")
    from quoit.adapters.executors.dask import Dask, NoCluster

    study = study_of(tmp_path, CHAIN)
    here = written(study, tmp_path, {run.key: perform(run) for run in study.runs()})
    assert written(study, tmp_path / "dask", conduct(study, tmp_path / "dask", Dask(1))) == here
    with pytest.raises(NoCluster, match=r"tcp://127\.0\.0\.1:1"):
        Dask(2, "tcp://127.0.0.1:1", patience_s=0.5).open(2)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--workers", "0"], "--workers: expected 1 to"),
        (["--scheduler", "tcp://x:1"], "--scheduler is of --executor dask"),
        (["--executor", "dask"], "--executor: dask is not installed: install quoit[dask]"),
        (["--plot"], "--plot: a plot needs matplotlib: install quoit[data]"),
        (["--out", "file"], "file"),
    ],
)
def test_wrong_use_is_told_in_a_line(
    arguments: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for extra in ("distributed", "matplotlib"):
        monkeypatch.setitem(sys.modules, extra, None)
    study_of(tmp_path, CHAIN)
    Path("file").touch()
    out = [] if "--out" in arguments else ["--out", "out"]
    assert command("sweep", "sweep.yaml", *out, *arguments) == 2
    told = capsys.readouterr()
    assert text in told.err
    assert told.err.count("\n") == 1
    assert command("sweep", "gone.yaml", "--out", "out") == 2
    assert "no such file" in capsys.readouterr().err


def test_quoit_check_knows_sweeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sweep.yaml").write_text(CHAIN.replace("pairs: 400", "pears: 60"))
    assert command("check", str(tmp_path / "sweep.yaml")) == 1
    assert "sweep.yaml:11:12: base.chain.pears: unknown key 'pears'; did you mean 'pairs'?" in capsys.readouterr().out
    assert command("sweep", str(tmp_path / "sweep.yaml"), "--out", str(tmp_path / "out")) == 2
    assert "1 fault(s) in" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
