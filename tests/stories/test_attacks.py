"""The attacks of `examples/attacks`: what must be found is, in time; what must not is not; no bound is below the truth.

False-alarm probability of each run: below 1e-9 (every test's limit is a likelihood ratio of e^30).
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from quoit.cli.main import main
from quoit.fabric.detection import Cause
from quoit.scenario.attacks.check import Play, check, is_attack, load
from quoit.scenario.attacks.schema import Detection
from quoit.scenario.attacks.score import one_seed, played

S = 10**9
FILES = sorted(f for f in (Path(__file__).parents[2] / "examples" / "attacks").glob("*.yaml") if is_attack(f))
ROWS = {
    "intercept-resend",
    "photon-number-splitting",
    "splitting-without-decoys",
    "blinding",
    "passive-tap",
    "noise-light",
    "fibre-cut",
    "falsified-telemetry",
    "authentication-exhausted",
    "measure-resend-pairs",
    "hijacked-repeater",
    "known-tests",
    "rerouted-keys",
    "hidden-and-slow",
}


def play(name: str, **changes: object) -> Play:
    whole = load(next(f for f in FILES if f.stem == name))
    clean_ns = min(60 * S, whole.file.clean_ns)
    return Play(whole.file.model_copy(update={"clean_ns": clean_ns, **changes}), whole.clean)


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return int(str(end.value.code))


@pytest.mark.realises("I2", "I3", "G1")
@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_what_must_be_found_is_and_nothing_else(file: Path) -> None:
    given = play(file.stem)
    for seed in range(1, min(2, given.file.seeds) + 1):
        run = one_seed(given, seed)
        assert run.faults == ()
        assert run.clean == 0


def test_every_row_of_the_table_of_attacks_has_a_file() -> None:
    assert {f.stem for f in FILES} >= ROWS


def test_a_missed_deadline_a_missing_detection_and_a_surprise_are_faults() -> None:
    late = Detection(cause=Cause.EAVESDROPPING, object="link", after="30.2s", within="10 ms")
    other = Detection(cause=Cause.SPLITTING, object="link", after="30.2s", within="5s")
    (fault,) = one_seed(play("intercept-resend", expect=[late]), 1).faults
    assert fault.startswith("late: suspected eavesdropping on link after 0.80")
    missed, surprise = one_seed(play("intercept-resend", expect=[other], never=[]), 1).faults
    assert missed == "missed: photon-number splitting on link"
    assert surprise.startswith("not expected: suspected eavesdropping")
    forbidden = one_seed(play("noise-light", expect=[], never=[Cause.NOISE]), 1).faults
    assert any(fault.startswith("must not be found: noise light") for fault in forbidden)


def test_a_bound_below_the_truth_is_a_fault() -> None:
    """Blinded detectors that nobody watches: all key is known, and some of it is handed out."""
    run = one_seed(play("blinding-unwatched", bound="holds"), 1)
    assert run.bits.insecure == run.bits.secret > 0
    assert 0 < run.bits.delivered <= run.bits.insecure
    assert any("bits are known" in fault for fault in run.faults)
    assert any("handed out after the deadline" in fault for fault in run.faults)


@pytest.mark.parametrize("fraction", [0.03, 0.2, 0.5, 1.0])
def test_the_estimated_bound_is_never_below_what_is_known(fraction: float) -> None:
    """Whatever share is resent: blocks that give key take off more than she knows."""
    given = play("intercept-resend")
    (event,) = given.file.events
    attack = event.attack.model_copy(update={"fraction": fraction})
    changed = given.clean.model_copy(update={"events": [event.model_copy(update={"at_ns": 1, "attack": attack})]})
    _, truth = played(changed, 3, 40 * S)
    assert truth.learned_bits > 0
    assert not any(block.insecure for block in truth.blocks())


def test_the_exact_mode_shows_and_counts_the_same() -> None:
    """Each detection by itself: splitting is found by both ends' own sifting, and what is known is counted."""
    text = """
attack: 1
name: exact
network:
  quoit: 1
  name: exact
  mode: exact
  nodes: {alice: {}, bob: {}}
  spans: [{name: fibre, between: [alice, bob], length: 10 km, attenuation: 0.2 dB/km}]
  profiles: {small: {base: bb84-gys, detector_efficiency: 0.2}}
  links: [{name: link, between: [alice, bob], profile: small}]
until: 25s
clean: 10s
events: [{at: 5.2s, attack: {kind: photon-number-splitting, link: link, fraction: 1.0}}]
expect: [{cause: photon-number splitting, object: link, after: 5.2s, within: 8s}]
"""
    run = one_seed(written(text), 1)
    assert run.faults == ()
    assert run.bits.learned > 10_000


def written(text: str) -> Play:
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        return load(Path(file.name))


def test_the_command_scores_and_its_exit_code_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = next(f for f in FILES if f.stem == "fibre-cut")
    network = (source.parent / "network.yaml").read_text()
    (tmp_path / "network.yaml").write_text(network)
    file = tmp_path / "cut.yaml"
    file.write_text(source.read_text().replace("clean: 10min", "clean: 30s"))
    assert command("attack", str(file), "--seeds", "2", "--json") == 0
    told = msgspec.json.decode(capsys.readouterr().out)
    assert told["good"] is True
    assert [run["clean"] for run in told["runs"]] == [0, 0]
    file.write_text(file.read_text().replace("within: 1s", "within: 100us"))
    assert command("attack", str(file), "--seeds", "1") == 1
    assert "NOT GOOD" in capsys.readouterr().out
    assert command("attack", str(file), "--seeds", "0") == 2
    assert command("attack", str(tmp_path / "none.yaml")) == 2


def test_check_finds_every_fault_of_an_attack_file(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(
        """attack: 1
name: bad
network: {quoit: 1, name: bad, nodes: {alice: {}, bob: {}},
  spans: [{name: fibre, between: [alice, bob], length: 10 km}], links: [{name: link, between: [alice, bob]}]}
until: 60s
clean: 60s
events:
  - {at: 1s, attack: {kind: intercept-resend, link: lin, fraction: 0.1}}
  - {at: 2s, tap: {span: fiber, loss: 1 dB}}
expect:
  - {cause: suspected evesdropping, object: link, after: 1s, within: 3s}
  - {cause: dark, object: nobody, after: 1s, within: 3s}
never: [nothing]
"""
    )
    found = [str(fault).removeprefix(f"{file}:") for fault in check(file)]
    assert [text.split(":")[0] for text in found] == ["8", "9", "11", "12", "13"]
    assert "did you mean 'link'?" in found[0]
    assert "did you mean 'suspected eavesdropping'?" in found[2]
    assert command("check", str(file)) == 1
