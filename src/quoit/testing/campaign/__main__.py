"""`python -m quoit.testing.campaign`: the swarm, the kill points, the power cuts, the floods; a file of what came of
them."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import structlog

from quoit.testing.bench import floods
from quoit.testing.campaign import power, processes
from quoit.testing.campaign.scenario import scenario
from quoit.testing.campaign.swarm import Outcome, play

FIRST_SEED = 10_000


def main(arguments: list[str]) -> int:
    """Run what was asked; 1 if any promise was broken."""
    asked = _parser().parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    if asked.replay is not None:
        return _replay(asked.replay)
    found: dict[str, Any] = {"command": " ".join(["python", "-m", "quoit.testing.campaign", *arguments])}
    found["swarm"] = swarm(range(FIRST_SEED, FIRST_SEED + asked.seeds), asked.workers)
    found["power_cuts"] = told(power.campaign(range(asked.power_cuts)))
    if processes.can_trace():
        found["kill_points"] = told(processes.campaign(asked.every), every=asked.every)
    else:
        print("kill points: skipped, strace is not here or may not trace", file=sys.stderr)
        found["kill_points"] = {"skipped": "strace is not here or may not trace"}
    if asked.flood_seconds > 0:
        found["floods"] = floods.rows(asked.flood_seconds)
    text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
    asked.out.write_text(text + "\n", encoding="utf-8")
    print(text)
    return int(any(part.get("violations") for part in found.values() if isinstance(part, dict)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m quoit.testing.campaign", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, help="scenarios of the swarm")
    parser.add_argument("--power-cuts", type=int, default=500, help="power cuts")
    parser.add_argument("--every", type=int, default=1, help="every so many persistence calls get a fault")
    parser.add_argument("--flood-seconds", type=float, default=10.0, help="length of each flood; 0: none")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that play the swarm")
    parser.add_argument("--out", type=Path, default=Path("campaign.json"), help="where the figures go")
    parser.add_argument("--replay", type=int, metavar="SEED", help="play one scenario of the swarm, and tell it")
    return parser


def _replay(seed: int) -> int:
    told_of = scenario(seed)
    print(told_of.text())
    for fault in sorted(told_of.faults, key=lambda f: f.at_ms):
        print(f"{fault.at_ms:>8} ms to {fault.until_ms} ms: {fault.kind}, node {fault.node}, other {fault.other}")
    outcome = play(told_of)
    print(*outcome.violations or ["every promise was kept"], sep="\n")
    return int(bool(outcome.violations))


def swarm(seeds: range, workers: int = 1) -> dict[str, Any]:
    """Play these scenarios; the figures."""
    began = time.monotonic()
    outcomes = list(_played(seeds, workers))
    recovery = sorted(ms for o in outcomes for ms in o.recovery_ms)
    return {
        "seeds": [seeds.start, seeds.stop - 1],
        "scenarios": len(outcomes),
        "faults": _sum(o.faults for o in outcomes),
        "operations": sum(o.operations for o in outcomes),
        "keys_delivered": sum(o.delivered for o in outcomes),
        "refused": _sum(o.refused for o in outcomes),
        "keys_lost_after_commit": sum(o.lost_after_commit for o in outcomes),
        "keys_voided": sum(o.voided for o in outcomes),
        "recovery_ms": {"p50": recovery[len(recovery) // 2], "max": recovery[-1]} if recovery else None,
        "violations": [f"seed {o.seed}: {v}" for o in outcomes for v in o.violations],
        "wall_s": round(time.monotonic() - began, 1),
    }


def _played(seeds: range, workers: int) -> Iterator[Outcome]:
    if workers == 1:
        yield from map(_play, seeds)
        return
    with ProcessPoolExecutor(workers, initializer=_quiet) as pool:
        yield from pool.map(_play, seeds, chunksize=10)


def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


def _play(seed: int) -> Outcome:
    return play(scenario(seed))


def _sum(counters: Iterable[Counter[str]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return dict(sorted(total.items()))


def told(tally: processes.Tally, **more: Any) -> dict[str, Any]:
    """A tally as plain values."""
    return {
        **more,
        "faults": dict(tally.points),
        "operations": tally.operations,
        "stopped": tally.stopped,
        "keys_lost_after_commit": tally.lost,
        "violations": tally.violations,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
