"""All faults of a sweep file at once: of the file, of its base, and of each value on its axes."""

from __future__ import annotations

from pathlib import Path

import pytest

from quoit.scenario.sweep.check import SweepFileFaults, check, is_sweep, load

ROOT = Path(__file__).parents[3]
NETWORK = (ROOT / "examples" / "two-nodes.yaml").read_text(encoding="utf-8")

BAD_CHAIN = """sweep: 1
name: bad name
seeds: [1, 1]
base:
  chain:
    hopz: 2
    attenuation: 0.2 dB/km
    hardware: {success: 0.1}
    pairs: 10
axes:
  chain.length: {from: 10 km, to: 60 m, steps: 3}
  chain.cutoff: [1 ms, 10 parsec, 100 ms]
  chain.swap.gat: [1]
  chain.t2: {from: 1 s, to: 6 s, stps: 3}
  chains.t1: [1 s]
  chain.width.more: [1]
figures: [rate, rate_hz, rate_hz]
"""
CHAIN = """sweep: 1
name: good
seeds: 2
base:
  chain:
    hops: 2
    length: 10 km
    attenuation: 0.2 dB/km
    hardware: {success: 0.1, fidelity: 0.9, attempt: 10 us}
    t2: 1 s
    pairs: 10
axes:
"""
NET = """sweep: 1
name: net
base: {network: net.yaml, until: 10s}
axes:
"""


def faults_of(text: str, tmp_path: Path, network: str = NETWORK) -> list[tuple[int, str, str]]:
    file = tmp_path / "sweep.yaml"
    file.write_text(text)
    (tmp_path / "net.yaml").write_text(network)
    return [(f.place.line, ".".join(map(str, f.loc)), f.text) for f in check(file)]


def test_all_faults_are_told_at_once_in_order(tmp_path: Path) -> None:
    found = faults_of(BAD_CHAIN, tmp_path)
    assert [(line, loc) for line, loc, _ in found] == [
        (2, "name"),
        (3, "seeds"),
        (6, "base.chain.hopz"),
        (8, "base.chain.hardware"),
        (11, "axes.chain.length"),
        (12, "axes.chain.cutoff.1"),
        (13, "axes.chain.swap.gat.0"),
        (14, "axes.chain.t2.steps"),
        (14, "axes.chain.t2.stps"),
        (15, "axes.chains.t1"),
        (16, "axes.chain.width.more.0"),
        (17, "figures.0"),
        (17, "figures.2"),
    ]
    texts = [text for *_, text in found]
    assert "did you mean 'hops'?" in texts[2]
    assert "expected one unit at both ends" in texts[4]
    assert texts[5].startswith("with '10 parsec': expected a number with a unit")
    assert "did you mean 'gate'?" in texts[6]
    assert "expected a path into the base (chain.PART)" in texts[9]


@pytest.mark.parametrize(
    ("axes", "line", "text"),
    [
        ("  chain.hardware.profile: [nv-delft-2019]", 13, "did you mean 'nv-delft-2018'?"),
        ("  chain.hops.more: [1]", 13, "leads below 2, which has no parts"),
        ("  chain.hops: [1, 2]\n  chain.hops.more: [1]", 14, "leads below 2"),
        ("  chain.swap: [{gate: 1}]\n  chain.swap.gate: [1]", 14, "changes what 'chain.swap' changes"),
        ("  chain.width: [1, 0]", 13, "with 0: input should be greater than or equal to 1"),
        ("  chain.t1: [1 s, 100 ms]", 13, "with '100 ms': chain: expected 0 < T2 <= 2 T1"),
        ("  chain.width: [1, 2]\n  chain.hops: [1, 2, 3]\ncombine: zip", 15, "chain.width 2, chain.hops 3"),
        ("  chain.width: {from: 1, to: 1000, steps: 1000}\n  chain.hops: {from: 1, to: 256, steps: 256}\nseeds: 9", 15,
         "the key 'seeds' occurs twice"),
        ("  chain.t1: {from: 0 s, to: 10 s, steps: 3, scale: log}", 13, "expected ends above 0 for equal ratios"),
        ("  chain: [1]", 13, "expected a path into the base"),
        ("  until: [1 s]", 13, "expected a path into the base"),
        ("  chain.length: []", 13, "at least 1 item"),
    ],
)  # fmt: skip
def test_a_fault_of_an_axis_stands_at_its_line(axes: str, line: int, text: str, tmp_path: Path) -> None:
    found = faults_of(CHAIN + axes + "\n", tmp_path)
    assert any(at == line and text in what for at, _, what in found), found


def test_a_study_too_large_is_refused(tmp_path: Path) -> None:
    axes = "  chain.pairs: {from: 1, to: 1000, steps: 1000}\n  chain.hops: {from: 1, to: 256, steps: 256}\n"
    text = CHAIN.replace("seeds: 2", "seeds: 4") + axes
    assert [what for *_, what in faults_of(text, tmp_path)] == [
        "expected at most 1000000 runs, found 1024000: take fewer values or seeds"
    ]


def test_faults_of_a_network_and_of_its_axes_have_their_places(tmp_path: Path) -> None:
    broken = NETWORK.replace("kme: kme-bob", "kme: kme-bab")
    axes = (
        "  network.spans.alice--bob.length: [5 km, far]\n  network.links.0.profile: [bb84-gigahertz, bb84-gigaherz]\n"
        "  network.spans.alice--carol.length: [1 km]\n  until: [10s, now]\n  network.seed: [1]\n"
        "figures: [links.x.qber]\n"
    )
    found = faults_of(NET + axes, tmp_path, broken)
    assert [(line, loc) for line, loc, _ in found] == [
        (5, "axes.network.spans.alice--bob.length.1"),
        (6, "axes.network.links.0.profile.1"),
        (7, "axes.network.spans.alice--carol.length"),
        (8, "axes.until.1"),
        (10, "figures.0"),
        (14, "applications.1.kme"),
    ]
    assert "a name: alice--bob" in found[2][2]
    good = faults_of(NET + axes.replace(", far", "").replace(", bb84-gigaherz", "").replace(", now", ""), tmp_path)
    assert [text for *_, text in good if "links.x" in text] == [
        "no figure is called 'links.x.qber'; did you mean 'links.alice--bob.qber'?"
    ]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("[1, 2]", 1, "expected a mapping"),
        ("sweep: 1\nname: x\naxes: {}\nbase: 7\n", 3, "at least 1 item"),
        (NET.replace("net.yaml", "gone.yaml") + "  until: [1s]\n", 3, "cannot be read: No such file"),
        (NET.replace(", until: 10s", "") + "  network.seed: [1]\n", 3, "add until"),
        ("sweep: 1\nname: x\nbase: {}\naxes: {a: [1]}\n", 3, "expected exactly one of network and chain"),
        (CHAIN.replace("    pairs: 10\n", "") + "  chain.width: [1]\n", 6, "expected an end"),
        (CHAIN.replace("t2: 1 s", "t1: 1 s") + "  chain.width: [1]\n", 6, "t2: missing; add t2"),
        ("sweep: 2\n" + CHAIN[9:] + "  chain.width: [1]\n", 1, "input should be 1"),
    ],
)
def test_a_fault_of_the_file_stands_at_its_line(text: str, line: int, what: str, tmp_path: Path) -> None:
    found = faults_of(text, tmp_path)
    assert any(at == line and what in told for at, _, told in found), found


def test_what_an_axis_gives_need_not_be_in_the_base(tmp_path: Path) -> None:
    text = CHAIN.replace("    length: 10 km\n", "").replace("    pairs: 10\n", "")
    axes = "  chain.length: [1 km, 2 km]\n  chain.pairs: [5]\n  chain.swap.gate: [0.9]\n"
    file = tmp_path / "sweep.yaml"
    file.write_text(text + axes)
    study = load(file)
    assert [run.base["chain"]["length"] for run in study.runs()] == ["1 km", "1 km", "2 km", "2 km"]
    assert all(run.base["chain"]["swap"] == {"gate": 0.9} for run in study.runs())
    file.write_text(text)
    with pytest.raises(SweepFileFaults, match="axes"):
        load(file)


@pytest.mark.parametrize("name", ["sweep-cutoff", "sweep-qkd"])
def test_the_examples_are_good(name: str) -> None:
    file = ROOT / "examples" / f"{name}.yaml"
    assert is_sweep(file)
    assert load(file).count > 10
    assert not is_sweep(ROOT / "examples" / "two-nodes.yaml")


def test_seeds_depend_on_the_seed_and_the_point_alone(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    axes = "  chain.width: [1, 2]\n"

    def seeds(text: str) -> dict[tuple[int, int], int]:
        file.write_text(text + axes)
        return {run.key: run.seed for run in load(file).runs()}

    few, more = seeds(CHAIN), seeds(CHAIN.replace("seeds: 2", "seeds: 4"))
    assert len(set(more.values())) == 8
    assert {key: more[key] for key in few} == few
    assert seeds(CHAIN.replace("hops: 2", "hops: 3")) == few
    assert not set(seeds(CHAIN.replace("seeds: 2", "seeds: 2\nseed: 2")).values()) & set(few.values())
    listed = seeds(CHAIN.replace("seeds: 2", "seeds: [7, 9]"))
    assert listed[0, 1] == seeds(CHAIN.replace("seeds: 2", "seeds: [9]"))[0, 0]
