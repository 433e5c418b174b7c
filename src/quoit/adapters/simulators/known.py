"""The simulators of others that quoit brings a player for, as the entry points name them."""

from __future__ import annotations

from pathlib import Path

from quoit.adapters.simulators.environments import RECIPES, python_of
from quoit.adapters.simulators.process import WorkerSimulator, worker_command


def sequence(environments: Path) -> WorkerSimulator:
    """SeQUeNCe. SimulatorFailed at its first use if its environment was not made."""
    return _known("sequence", environments)


def qunetsim(environments: Path) -> WorkerSimulator:
    """QuNetSim. SimulatorFailed at its first use if its environment was not made."""
    return _known("qunetsim", environments)


def _known(name: str, environments: Path) -> WorkerSimulator:
    player = Path(__file__).parent / "workers" / RECIPES[name].player
    return WorkerSimulator(name, lambda: worker_command(python_of(environments, name), player))
