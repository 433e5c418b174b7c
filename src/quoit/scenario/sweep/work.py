"""What a worker does: one run, to its figures or to the reason why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

from quoit.scenario import yamlfile
from quoit.scenario.check import NetworkFileFaults, examine
from quoit.scenario.sweep import chain
from quoit.scenario.sweep.schema import Base, Chain
from quoit.scenario.sweep.study import Run


@dataclass(frozen=True)
class Result:
    """Of one run: all its figures, or (`fault` not empty) why there are none."""

    point: int
    repeat: int
    seed: int
    figures: dict[str, float | int | None]
    fault: str = ""


def perform(run: Run) -> Result:
    """Run it. Whatever goes wrong is a fault of this run alone, so nothing is raised."""
    try:
        figures = {name: _plain(value) for name, value in _figures(run).items()}
        return Result(run.point, run.repeat, run.seed, figures)
    except Exception as fault:  # noqa: BLE001  the border of a task
        return failed(run, fault)


def _plain(value: float | int | None) -> float | int | None:
    """As JSON keeps it: what is no finite number is none."""
    if value is None or not isfinite(value):
        return None
    return int(value) if isinstance(value, int) else float(value)


def failed(run: Run, fault: BaseException) -> Result:
    """The result of a run that ended in an exception."""
    reason = str(fault) if isinstance(fault, ValueError) else f"{type(fault).__name__}: {fault}"
    return Result(run.point, run.repeat, run.seed, {}, " ".join(reason.split()) or type(fault).__name__)


def _figures(run: Run) -> dict[str, float | int | None]:
    if "chain" in run.base:
        return chain.run(Chain.model_validate(run.base["chain"]), run.seed)
    from quoit.scenario.sweep import networks  # half a second of imports that a worker of chains does without

    document: Any = run.base["network"]
    network, faults = examine(yamlfile.Document(document, {}, []), "network")
    if faults or network is None:
        raise NetworkFileFaults(faults)
    until_ns = Base.model_validate({"network": "as read", "until": run.base["until"]}).until_ns
    assert until_ns is not None
    return networks.run(network, until_ns, run.seed)
