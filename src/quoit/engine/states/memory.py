"""How a stored qubit decays: several conventions in use, each by its name, all of one generator.

Every law here maps the Bloch vector as (x, y, z) -> (lx x, ly y, lz z + s) with constant rates, so laws add up at the
level of the generator and any split of an interval gives the same state (semigroup), relaxation included.

The same "T = 1 s" means different things: as a total Pauli rate (SeQUeNCe) a pair's Werner parameter falls as
exp(-4t/3T) per memory, as a Werner time (SimQN, MQNS) as exp(-t/tau). Hence no field is called just T.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, expm1, inf
from typing import NamedTuple, Self

PauliChannel = tuple[float, float, float, float]
"""Probabilities of I, Z, X, Y, in this order, summing to 1."""


class BlochMap(NamedTuple):
    """(x, y, z) -> (x `x`, y `y`, z `z` + `shift`)."""

    x: float
    y: float
    z: float
    shift: float


@dataclass(frozen=True, slots=True)
class MemoryNoise:
    """Decay of one stored qubit; laws given together act together. The default keeps for ever.

    `t1_s`, `t2_s`: relaxation to |0> and coherence time, s; T2 <= 2 T1. `t2_s` None: 2 T1, no further dephasing.
    `pauli_hz`: rates at which X, Y and Z happen by chance, per s.
    `werner_tau_s`: depolarisation; each Bloch component shrinks by exp(-t/tau).
    `decay_per_attempt`: each attempt at entanglement made by the node shrinks x and y by exp(-this); 1/N, where N is
    the number of attempts after which coherence is 1/e. Populations are left alone, as hyperfine coupling to a reset
    electron dephases nuclear spins (doi:10.1103/PhysRevA.97.062330).
    `twirled`: relaxation as its Pauli twirl, which is unital. An approximation: it forgets that |0> is preferred.

    ValueError for times that are not positive, negative rates, or T2 > 2 T1.
    """

    t1_s: float = inf
    t2_s: float | None = None
    pauli_hz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    werner_tau_s: float = inf
    decay_per_attempt: float = 0.0
    twirled: bool = False

    def __post_init__(self) -> None:
        t2_s = 2 * self.t1_s if self.t2_s is None else self.t2_s
        for name, value in (("t1_s", self.t1_s), ("t2_s", t2_s), ("werner_tau_s", self.werner_tau_s)):
            if not value > 0:
                raise ValueError(f"{name}: expected a time > 0 s, found {value}")
        if t2_s > 2 * self.t1_s:
            raise ValueError(f"t2_s: expected at most 2 T1 = {2 * self.t1_s} s, found {t2_s}")
        if len(self.pauli_hz) != 3 or not all(0 <= rate < inf for rate in self.pauli_hz):
            raise ValueError(f"pauli_hz: expected three rates >= 0 per s (X, Y, Z), found {self.pauli_hz}")
        if not 0 <= self.decay_per_attempt < inf:
            raise ValueError(f"decay_per_attempt: expected a number >= 0, found {self.decay_per_attempt}")

    @classmethod
    def total_pauli(cls, time_s: float) -> Self:
        """Total Pauli rate 1/T, split equally over X, Y and Z, as SeQUeNCe has it: w falls as exp(-4t/3T)."""
        if not time_s > 0:
            raise ValueError(f"time_s: expected a time > 0 s, found {time_s}")
        return cls(pauli_hz=(1 / (3 * time_s),) * 3)

    @classmethod
    def werner(cls, tau_s: float) -> Self:
        """w falls as exp(-t/tau) for each memory, as SimQN and MQNS have it."""
        return cls(werner_tau_s=tau_s)

    @classmethod
    def relaxation(cls, t1_s: float, t2_s: float, *, twirled: bool = False) -> Self:
        """Amplitude damping and dephasing."""
        return cls(t1_s=t1_s, t2_s=t2_s, twirled=twirled)

    @property
    def is_pauli(self) -> bool:
        """Whether the decay is a Pauli channel, which keeps pairs Bell-diagonal and stabilizer states tractable."""
        return self.twirled or self.t1_s == inf

    @property
    def keeps(self) -> bool:
        """Whether nothing decays by time or by attempts."""
        return self.rates_hz == (0.0, 0.0, 0.0) and self.decay_per_attempt == 0

    @property
    def rates_hz(self) -> tuple[float, float, float]:
        """Decay rates of the Bloch vector's x, y and z, per s."""
        rx, ry, rz = self.pauli_hz
        t2_s = 2 * self.t1_s if self.t2_s is None else self.t2_s
        both = 1 / self.werner_tau_s
        return (
            2 * (ry + rz) + 1 / t2_s + both,
            2 * (rx + rz) + 1 / t2_s + both,
            2 * (rx + ry) + 1 / self.t1_s + both,
        )

    def bloch_map(self, elapsed_ns: int, attempts: int = 0) -> BlochMap:
        """What `elapsed_ns` of storage and so many attempts of the node do to a qubit. ValueError for negative ones."""
        if elapsed_ns < 0 or attempts < 0:
            raise ValueError(f"expected time and attempts >= 0, found {elapsed_ns} ns and {attempts}")
        t = elapsed_ns * 1e-9
        ax, ay, az = self.rates_hz
        disturbed = attempts * self.decay_per_attempt
        # The fixed point of z is the pump's share of the whole rate: 1 for T1 alone, less beside other noise.
        shift = 0.0 if self.is_pauli else -expm1(-az * t) / (self.t1_s * az)
        return BlochMap(exp(-ax * t - disturbed), exp(-ay * t - disturbed), exp(-az * t), shift)

    def pauli_channel(self, elapsed_ns: int, attempts: int = 0) -> PauliChannel:
        """The same as probabilities of I, Z, X, Y; of a relaxing memory this is the Pauli twirl.

        For T1 and T2: p_X = p_Y = (1 - exp(-t/T1))/4, p_Z = (1 - exp(-t/T2))/2 - p_X
        (doi:10.1103/PhysRevA.86.062318).
        """
        x, y, z, _ = self.bloch_map(elapsed_ns, attempts)
        # clipped: a zero of four exponentials may come out as -1e-17
        p_z, p_x, p_y = (max(0.0, p) / 4 for p in (1 + z - x - y, 1 + x - y - z, 1 + y - x - z))
        return 1.0 - p_z - p_x - p_y, p_z, p_x, p_y
