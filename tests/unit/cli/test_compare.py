"""`quoit compare`: one scenario under all compilers, figures that agree with their promises, a plot, and refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from quoit.cli.main import main
from quoit.engine.program import Decay, Hop, werner_state
from quoit.fabric.programs.asap import Asap
from quoit.fabric.programs.demand import Compiled, Demand, Station
from quoit.fabric.programs.edc import EntanglementDefined
from quoit.fabric.programs.nested import Nested
from quoit.scenario.comparison import compare, installed

ROOT = Path(__file__).parents[3]
EXAMPLE = str(ROOT / "examples" / "chain-compare.yaml")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs this short are over before the machine would be compiled."""
    monkeypatch.setattr("quoit.engine.kernels.machine.can_compile", lambda: False)


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    out = capsys.readouterr()
    return int(end.value.code or 0), out.out, out.err


def demand(hops: int, floor: float = 0.6) -> Demand:
    link = Hop(100_000, 0.05, 400_000, werner_state(0.97))
    stations = tuple(Station(f"n{i}", Decay.t1_t2(2, 1), 2, 0.99, 0.995) for i in range(hops + 1))
    return Demand(stations, (link,) * hops, floor, 60)


@pytest.mark.realises("F7")
def test_figures_agree_with_the_promises() -> None:
    rows = compare(demand(4), {"asap": Asap(), "nested": Nested(), "edc": EntanglementDefined()}, 1, compiled=False)
    for row in rows:
        assert row.figures is not None
        assert row.promise is not None
        f = row.figures
        assert f.delivered == 60
        assert len(f.fidelities) == len(f.latencies_s) == 60
        assert row.promise.least <= f.fidelity_least <= f.fidelity_p5 <= f.fidelity <= 1
        assert f.latency_p50_s <= f.latency_p99_s
        # No pair is sooner than light over half the path.
        assert min(f.latencies_s) >= 200e-6
        assert f.messages >= row.promise.messages * 0.9
    asap, nested, edc = (row.figures for row in rows)
    # Links that were kept ready cost memory and save waiting; handshakes cost messages.
    assert edc.latency_p50_s < asap.latency_p50_s / 5
    assert edc.memory_alone_s > 2 * asap.memory_alone_s
    assert nested.messages > asap.messages + 8


class Liar:
    """Makes a sound circuit and says too much of it."""

    def compile(self, demand: Demand) -> Compiled:
        made = Asap().compile(demand)
        return replace(made, promise=replace(made.promise, least=0.99))


def test_a_promise_that_was_broken_is_seen() -> None:
    honest, liar = compare(demand(3), {"asap": Asap(), "liar": Liar()}, 1, compiled=False)
    assert not honest.broke_promise
    assert liar.broke_promise


def test_a_compiler_that_cannot_be_loaded_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = {"lost": EntryPoint("lost", "no_such_module:Lost", "quoit.compilers"), **installed()}
    monkeypatch.setattr("quoit.cli.compare.installed", lambda: broken)
    status, _, err = told(["compare", "--chain", "2", "--compilers", "lost", "--pairs", "5"], capsys)
    assert (status, err.count("\n")) == (2, 1)
    assert "compiler lost (no_such_module:Lost) cannot be loaded" in err
    assert told(["compare", "--chain", "2", "--compilers", "asap", "--pairs", "5"], capsys)[0] == 0


def test_the_same_seed_gives_the_same_figures() -> None:
    one, two, other = (compare(demand(3), {"asap": Asap()}, seed, compiled=False) for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_a_run_that_delivers_nothing_ends_at_its_limit() -> None:
    rows = compare(demand(3), {"asap": Asap(), "edc": EntanglementDefined()}, 1, limit_ns=1_000_000, compiled=False)
    for row in rows:
        assert row.figures is not None
        assert (row.figures.delivered, row.figures.rate_hz, row.figures.latency_p50_s) == (0, None, None)


@pytest.mark.realises("F7")
def test_a_table_for_people_and_json_for_machines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, _ = told(["compare", EXAMPLE, "--pairs", "20"], capsys)
    assert status == 0
    for name in ("asap", "edc", "nested", "rulesets"):
        assert f"{name}: no pair below 0.6" in out
    status, out, _ = told(["compare", "--chain", "3", "--compilers", "asap, edc", "--pairs", "30", "--json"], capsys)
    found = json.loads(out)
    assert status == 0
    assert [row["compiler"] for row in found["rows"]] == ["asap", "edc"]
    assert all(row["delivered"] == 30 and row["fidelity_least"] >= row["promised_least"] for row in found["rows"])


def test_a_plot_where_one_is_asked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "new" / "plot.png"
    status, _, _ = told(
        ["compare", "--chain", "2", "--compilers", "asap,edc", "--pairs", "20", "--plot", str(file)], capsys
    )
    assert status == 0
    assert file.read_bytes().startswith(b"\x89PNG")


def test_refusals_are_said_with_what_could_be_had(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = told(["compare", "--chain", "6", "--floor", "0.95", "--compilers", "asap,edc"], capsys)
    assert status == 1
    assert "asap refuses: asap: expected a floor of 0.7" in out
    assert "edc refuses" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "expected a chain file, or --chain"),
        ([EXAMPLE, "--chain", "3"], "expected a chain file, or --chain"),
        (["missing.yaml"], "no such file"),
        (["--chain", "0"], "expected 1 to 128 hops"),
        (["--chain", "2", "--floor", "2"], "--floor: expected above 0.25"),
        (["--chain", "2", "--pairs", "0"], "--pairs: expected 1 or more"),
        (["--chain", "2", "--compilers", "asp"], "did you mean 'asap'?"),
        (["--chain", "2", "--compilers", "asap", "--pairs", "2", "--plot", "x.doc"], "ending in .png"),
        ([str(ROOT / "examples" / "two-nodes.yaml")], "the key 'chain' is missing"),
    ],
)
def test_wrong_use_is_told(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = told(["compare", *arguments], capsys)
    assert status == 2
    assert text in err
    assert "Traceback" not in err


@pytest.fixture(scope="module")
def own_compiler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example package, installed into a directory of its own."""
    target = tmp_path_factory.mktemp("own")
    source = str(ROOT / "examples" / "own-compiler")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*command, "--target", str(target), source], capture_output=True, text=True, timeout=240)
    if done.returncode:
        pytest.skip(f"pip cannot build packages here: {done.stderr.strip()[-200:]}")
    return target


@pytest.mark.realises("F7")
def test_a_compiler_from_outside_the_package_is_compared_like_ours(own_compiler: Path) -> None:
    path = os.pathsep.join([str(own_compiler), *(p for p in sys.path if p)])
    command = [sys.executable, "-c", "from quoit.engine.kernels import machine; machine.can_compile = lambda: False\n"
               "from quoit.cli.main import main; main()"]  # fmt: skip
    arguments = ["compare", "--chain", "4", "--compilers", "asap,left-to-right", "--pairs", "30", "--json"]
    done = subprocess.run(
        [*command, *arguments], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    rows = {row["compiler"]: row for row in json.loads(done.stdout)["rows"]}
    own = rows["left-to-right"]
    assert own["delivered"] == 30
    assert own["fidelity_least"] >= own["promised_least"] >= 0.6
    assert own["rate_hz"] != rows["asap"]["rate_hz"]
    assert "left-to-right" not in installed()


def test_the_study_of_cut_offs_finds_the_best_in_between(tmp_path: Path) -> None:
    study = str(ROOT / "examples" / "cutoff_study.py")
    plot = tmp_path / "cutoffs.png"
    drawn = ["--plot", str(plot)] if _has_matplotlib() else []
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, study, "--pairs", "150", *drawn],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert plot.exists() == bool(drawn)
    lines = done.stdout.splitlines()
    rows = [[float(cell.rstrip("%")) for cell in line.split()] for line in lines[1:-1]]
    columns = dict(
        zip(
            ("cutoff", "rate", "expired", "mean", "p5", "least", "promised", "key"),
            zip(*rows, strict=True),
            strict=True,
        )
    )
    assert len(rows) == 8
    assert columns["rate"][0] < columns["rate"][3] < columns["rate"][6]
    assert columns["mean"][0] > columns["mean"][3] > columns["mean"][6]
    assert all(least >= promised for least, promised in zip(columns["least"], columns["promised"], strict=True))
    assert max(columns["key"]) > max(columns["key"][0], columns["key"][-1])
    assert "asap chooses 10.7" in lines[-1]


def _has_matplotlib() -> bool:
    import importlib.util

    return importlib.util.find_spec("matplotlib") is not None
