"""How long should a repeater let a qubit wait? Rate and fidelity of a chain against its cut-off.

    python examples/cutoff_study.py [--hops 3] [--pairs 400] [--seed 1] [--plot cutoffs.png]

A short cut-off throws away half the work; a long one delivers what has decayed. The secret key rate weighs one against
the other, and has its best in between. The last line is what the compiler `asap` would choose for a floor.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from quoit.engine.kernels.machine import PairMachine
from quoit.engine.physics.bell_pairs import bell_diagonal_key
from quoit.engine.program import Circuit, Decay, Hop, Swap, werner_state
from quoit.fabric.programs.asap import Asap
from quoit.fabric.programs.demand import Demand, Station
from quoit.fabric.programs.promises import least, pair_of, with_cutoff

FLOOR = 0.75
MEMORY = Decay.t1_t2(t1_s=0.5, t2_s=0.1)
LINK = Hop(light_ns=122_000, success=0.02, cycle_ns=250_000, state=werner_state(0.98))
"""25 km of fibre: one attempt per return trip, a pair in 12.5 ms."""


def chain(hops: int) -> Demand:
    """Alike nodes with one memory on each side."""
    stations = tuple(Station(f"n{i}", MEMORY, 1, gate_p2=0.995, readout=0.998) for i in range(hops + 1))
    return Demand(stations, (LINK,) * hops, FLOOR)


def measured(circuit: Circuit, pairs: int, seed: int) -> dict[str, float]:
    """Pairs per second, fidelities, qubits that a cut-off took per heralded pair, and key bits per second (BB84).

    Key is one-way and asymptotic, with an ideal code, from the mean state of what was delivered.
    """

    def rng(purpose: str, number: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=[seed, 2 * number + (purpose == "attempts")]))

    # Plain Python: a study of a second is over before the machine would be compiled.
    machine = PairMachine([circuit], rng, compiled=False)
    slowest_ns = max(hop.cycle_ns / hop.success for hop in circuit.hops)
    delivered, fidelities, states = 0, [], []
    while delivered < pairs and machine.now_ns < 40 * pairs * slowest_ns:
        found = machine.run(machine.now_ns + int(pairs * slowest_ns / 4))
        delivered += len(found)
        fidelities.append(found.fidelity)
        states.append(found.state)
    seconds, counts = machine.now_ns / 1e9, machine.counts(0)
    rate = delivered / seconds
    if not delivered:
        return {"rate": 0.0, "mean": np.nan, "p5": np.nan, "least": np.nan, "expired": 1.0, "key": 0.0}
    fidelity = np.concatenate(fidelities)
    x, y, z = np.concatenate(states).mean(axis=0)
    key = bell_diagonal_key(pair_of((float(x), float(y), float(z)))).bb84
    return {
        "rate": rate,
        "mean": float(fidelity.mean()),
        "p5": float(np.quantile(fidelity, 0.05)),
        "least": float(fidelity.min()),
        "expired": counts.expired / counts.heralds,
        "key": rate * key,
    }


def study(hops: int, pairs: int, seed: int, cutoffs_ms: list[float]) -> list[dict[str, float]]:
    """A row for each cut-off; `promised` is the fidelity below which no pair can be."""
    bare = chain(hops).circuit({i: Swap() for i in range(1, hops)}, 1)
    rows = []
    for cutoff_ms in cutoffs_ms:
        circuit = with_cutoff(bare, round(cutoff_ms * 1e6))
        rows.append({"cutoff_ms": cutoff_ms, "promised": least(circuit) or 0.0, **measured(circuit, pairs, seed)})
    return rows


def plot(rows: list[dict[str, float]], file: Path) -> bool:
    """Rates and fidelities over the cut-off; False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    page = Figure(figsize=(10, 4), layout="constrained")
    rates, fidelities = page.subplots(1, 2)
    cutoffs = [row["cutoff_ms"] for row in rows]
    rates.plot(cutoffs, [row["rate"] for row in rows], "o-", label="pairs per second")
    rates.plot(cutoffs, [row["key"] for row in rows], "s-", label="key bits per second")
    for name, label in (("mean", "mean"), ("p5", "5 % are below"), ("promised", "none can be below")):
        fidelities.plot(cutoffs, [row[name] for row in rows], "o-", label=label)
    fidelities.set_ylabel("fidelity")
    for axes in (rates, fidelities):
        axes.set_xscale("log")
        axes.set_xlabel("cut-off, ms")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    page.savefig(file, dpi=110)
    return True


def main() -> None:
    """Table, and a plot where one is asked for."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--hops", type=int, default=3)
    options.add_argument("--pairs", type=int, default=400)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--plot", type=Path)
    given = options.parse_args()
    if given.hops < 2 or given.pairs < 1:
        options.error("expected 2 hops or more, and 1 pair or more")
    rows = study(given.hops, given.pairs, given.seed, [1, 2, 5, 10, 20, 50, 100, 200])
    print("cut-off ms   pairs/s   expired   F mean   F 5 %   F least   F promised   key bit/s")
    for row in rows:
        print(
            f"{row['cutoff_ms']:10g}  {row['rate']:8.3f}  {row['expired']:7.1%}  {row['mean']:7.4f}  {row['p5']:6.4f}  "
            f"{row['least']:8.4f}  {row['promised']:11.4f}  {row['key']:10.3f}"
        )
    chosen = Asap().compile(chain(given.hops)).circuit.nodes[1].cutoff_ns
    print(f"for a floor of {FLOOR:g} asap chooses", "no cut-off" if chosen is None else f"{chosen / 1e6:.2f} ms")
    if given.plot is not None and not plot(rows, given.plot):
        sys.exit("--plot needs matplotlib: pip install 'quoit[data]'")


if __name__ == "__main__":
    main()
