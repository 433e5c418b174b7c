"""`python -m quoit.testing.learned train|compare`: trains the learned detector, and sets it beside the tests.

Data are episodes of links as the twin draws them: quiet, then one attack or disturbance of random strength. All draws
come from the seed, so the same versions of NumPy and scikit-learn (extra `learned`) write the same model. The threshold
is set above the greatest score of clean seconds that were not trained on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from quoit.engine.links.sampler import Channel
from quoit.fabric.detection import Battery, Cause, Finding, LinkDetector, Seen
from quoit.fabric.learned import CAUSES, Deviations, LearnedDetector, Model
from quoit.fabric.links.bb84 import DecoyBB84
from quoit.runtime import seeds
from quoit.testing.drawn import plan, protocol, readings

SHIPPED = Path(__file__).parents[1] / "fabric" / "learned.json"
SEED = 20_260_101
QUIET_S, ATTACKED_S = 420, 60
EPISODES, CLEAN_S = 600, 200_000
MARGIN = 3.0
"""So much above the greatest clean score the threshold is: a factor e^3 in the odds."""


class Recorder:
    """A detector that finds nothing and keeps what it sees."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, list[float]]] = []
        self._deviations = Deviations()

    def add(self, seen: Seen) -> Finding | None:
        told = self._deviations.add(seen)
        if told is not None:
            self.rows.append((seen.block, told))
        return None

    def rearm(self) -> None:
        self._deviations.clear()


def disturbed(kind: str, rng: np.random.Generator, quiet: Channel) -> Channel:
    """A channel on which something of this kind has begun."""
    assert quiet.loss_db is not None
    if kind == "eavesdropping":
        return replace(quiet, intercepted=float(np.exp(rng.uniform(np.log(0.03), 0.0))))
    if kind == "noise":
        return replace(quiet, noise_hz=float(np.exp(rng.uniform(np.log(5e5), np.log(3e7)))))
    if kind == "loss":
        return replace(quiet, loss_db=quiet.loss_db + float(rng.uniform(0.1, 1.5)))
    if kind == "splitting":
        return replace(quiet, split=float(rng.uniform(0.3, 1.0)))
    return quiet


def watched(link: DecoyBB84, channels: Iterator[Channel], seed: int, detector: LinkDetector) -> Iterator[list[Finding]]:
    """What the tests and a further detector find, second by second."""
    battery = Battery(plan(link), [("learned", detector)])
    for reading in readings(link, channels, seed):
        yield battery.add(reading)


def episodes(number: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Deviations, one row a second, and the index of their class in `CAUSES`."""
    rng = seeds.generator(seed, "learned", "episodes")
    link = protocol("bb84-gys")
    kinds = list(CAUSES)
    rows, labels = [], []
    for episode in range(number):
        kind = kinds[episode % len(kinds)]
        quiet = Channel(float(rng.uniform(0.0, 3.0)))
        seen = Recorder()
        channels = chain(repeat(quiet, QUIET_S), repeat(disturbed(kind, rng, quiet), ATTACKED_S))
        for _ in watched(link, channels, seed + episode + 1, seen):
            pass
        for block, told in seen.rows:
            rows.append(told)
            labels.append(kinds.index(kind) if block > QUIET_S else 0)
    return np.array(rows), np.array(labels)


def clean_scores(model: Model, seconds: int, seed: int) -> float:
    """The greatest score of links on which nothing happens."""
    link, detector = protocol("bb84-gys"), LearnedDetector(model)
    greatest = -np.inf
    for part in range(10):
        seen = Recorder()
        channel = Channel(0.3 * part)
        for _ in watched(link, repeat(channel, seconds // 10), seed + part, seen):
            pass
        greatest = max(greatest, *(detector.score(told)[0] for _, told in seen.rows))
    return float(greatest)


def train(number: int = EPISODES, clean_s: int = CLEAN_S, seed: int = SEED) -> dict[str, Any]:
    """The model as it is written. ImportError without scikit-learn."""
    from sklearn.linear_model import LogisticRegression

    rows, labels = episodes(number, seed)
    found = LogisticRegression(max_iter=2_000).fit(rows, labels)
    weights = [[round(float(w), 6) for w in row] for row in found.coef_]
    offsets = [round(float(b), 6) for b in found.intercept_]
    bare = Model(tuple(map(tuple, weights)), tuple(offsets), 0.0)
    threshold = round(clean_scores(bare, clean_s, seed + 10**6) + MARGIN, 3)
    return {
        "classes": list(CAUSES),
        "weights": weights,
        "offsets": offsets,
        "threshold": threshold,
        "trained": {"episodes": number, "seed": seed, "clean_s": clean_s, "profile": "bb84-gys"},
    }


# -- beside the tests ------------------------------------------------------------------------------------

CASES: dict[str, tuple[Channel, Cause]] = {
    "intercept-resend of 1/4": (Channel(1.0, intercepted=0.25), Cause.EAVESDROPPING),
    "intercept-resend of 1/10": (Channel(1.0, intercepted=0.1), Cause.EAVESDROPPING),
    "intercept-resend of 1/20": (Channel(1.0, intercepted=0.05), Cause.EAVESDROPPING),
    "intercept-resend of 1/50": (Channel(1.0, intercepted=0.02), Cause.EAVESDROPPING),
    "photon-number splitting": (Channel(1.0, split=1.0), Cause.SPLITTING),
    "tap of 0.2 dB": (Channel(1.2), Cause.LOSS),
    "noise of 5 10^6 photons/s": (Channel(1.0, noise_hz=5e6), Cause.NOISE),
}
LIMIT_S = 600


def delays(channel: Channel, cause: Cause, seed: int) -> dict[str, tuple[int, bool]]:
    """Seconds until the first finding of the tests (`cusum`) and of the learned detector, and whether it had the right
    name; the limit if there was none."""
    link = protocol("bb84-gys")
    found: dict[str, tuple[int, bool]] = {}
    channels = chain(repeat(Channel(1.0), QUIET_S), repeat(channel, LIMIT_S))
    for second, findings in enumerate(watched(link, channels, seed, LearnedDetector()), 1):
        for finding in findings:
            who = "learned" if finding.why.startswith("learned: ") else "cusum"
            found.setdefault(who, (second - QUIET_S, finding.cause is cause))
        if len(found) == 2:
            break
    return {who: found.get(who, (LIMIT_S, False)) for who in ("cusum", "learned")}


def false_alarms(seconds: int, seed: int) -> dict[str, int]:
    """Findings on a clean link."""
    link, count = protocol("bb84-gys"), {"cusum": 0, "learned": 0}
    for findings in watched(link, repeat(Channel(1.0), seconds), seed, LearnedDetector()):
        for finding in findings:
            count["learned" if finding.why.startswith("learned: ") else "cusum"] += 1
    return count


def compare(runs: int, clean_s: int) -> Iterator[str]:
    """Lines of the table in docs/attacks.md."""
    yield "| what | CUSUM tests: median, greatest, named right | learned: median, greatest, named right |"
    yield "|---|---|---|"
    for name, (channel, cause) in CASES.items():
        told = [delays(channel, cause, 5_000 + seed) for seed in range(runs)]
        cells = []
        for who in ("cusum", "learned"):
            times = sorted(one[who][0] for one in told)
            right = sum(one[who][1] for one in told)
            missed = sum(t >= LIMIT_S for t in times)
            middle = "not found" if median(times) >= LIMIT_S else f"{median(times):g} s"
            worst = f"{missed} missed" if missed else f"{times[-1]} s"
            cells.append(f"{middle}, {worst}, {right} of {runs}")
        yield f"| {name} | {cells[0]} | {cells[1]} |"
    alarms = false_alarms(clean_s, 9_000)
    yield f"| false alarms in {clean_s} clean seconds | {alarms['cusum']} | {alarms['learned']} |"


def main() -> int:
    """Train the model that is shipped, or print the table."""
    parser = argparse.ArgumentParser(prog="python -m quoit.testing.learned")
    parser.add_argument("what", choices=("train", "compare"))
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--clean", type=int, default=1_000_000, help="clean seconds")
    options = parser.parse_args()
    if options.what == "compare":
        for line in compare(options.runs, options.clean):
            print(line, flush=True)
        return 0
    try:
        model = train()
    except ImportError:
        parser.error("scikit-learn is not installed: pip install 'quoit[learned]'")
    options.out.write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")
    print(f"{options.out}: threshold {model['threshold']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
