"""When quantum packets pass a switch: reservations of a port, and what happens to those that meet another one.

A packet is a classical header, a guard time, a quantum payload (a train of slots), a guard, and a classical trailer.
The header runs ahead by an offset on a wavelength of its own, is read and sent on anew at each switch, and reserves the
port for the payload, which nobody reads (DiAdamo, Qi, Miller, Kompella, Phys. Rev. Research 4, 043064 (2022)).
Reservations are those of optical burst switching (Qiao and Yoo, J. High Speed Netw. 8, 69 (1999)).

Named approximations: a port gives a channel out from the last reservation's end on, and gaps before it are not filled;
a payload keeps its channel along its way, since nothing converts quantum light; headers do not meet each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Policy = Literal["drop", "delay", "buffer"]


@dataclass(frozen=True)
class Switching:
    """What a packet switch is made of. Times in ns, losses in dB.

    `channels` of a port; `processing_ns` of a header, `switching_ns` of the switch. `policy`: what happens to a payload
    whose port is taken: it is lost (drop), goes round a loop of fibre of `loop_ns` that loses `loop_db` each time, at
    most `turns` times, in one of `lines` loops that a port has (delay), or waits in one of `memories` whose coherence
    falls with `t2_ns` (buffer).
    """

    processing_ns: int = 2_000
    switching_ns: int = 1_000
    channels: int = 1
    policy: Policy = "drop"
    loop_ns: int = 20_000
    loop_db: float = 1.0
    turns: int = 3
    lines: int = 1
    memories: int = 8
    t2_ns: int = 1_000_000

    def __post_init__(self) -> None:
        if min(self.processing_ns, self.switching_ns, self.loop_db, self.turns, self.lines, self.memories) < 0:
            raise ValueError("expected times, losses and numbers of at least 0")
        if min(self.channels, self.loop_ns, self.t2_ns) < 1:
            raise ValueError("expected at least one channel, and a loop and a T2 above 0")


@dataclass(frozen=True)
class Granted:
    """A port is taken for a payload: on which channel, how much later than it came, and after how many turns."""

    channel: int
    wait_ns: int = 0
    turns: int = 0


class Port:
    """The way from a switch into one span."""

    def __init__(self, switching: Switching) -> None:
        self._switching = switching
        self._free_at = [0] * switching.channels
        self._loops = [0] * switching.lines
        self._waiting: list[int] = []

    def take(self, start_ns: int, hold_ns: int, channel: int | None = None) -> Granted | None:
        """Reserve the port for `hold_ns` from `start_ns` on, or later as the policy has it; None: the payload is lost.
        `channel`: the one that it has; None: any."""
        candidates = range(len(self._free_at)) if channel is None else (channel,)
        best = min(candidates, key=lambda c: (max(self._free_at[c], start_ns), c))
        wait_ns = max(0, self._free_at[best] - start_ns)
        turns = 0
        if wait_ns:
            found = self._put_off(start_ns, hold_ns, wait_ns)
            if found is None:
                return None
            wait_ns, turns = found
        self._free_at[best] = start_ns + wait_ns + hold_ns
        return Granted(best, wait_ns, turns)

    def _put_off(self, start_ns: int, hold_ns: int, wait_ns: int) -> tuple[int, int] | None:
        """(how long, how many turns) a payload is put off, if it can be."""
        s = self._switching
        if s.policy == "delay":
            turns = -(-wait_ns // s.loop_ns)
            line = next((n for n, free_at in enumerate(self._loops) if free_at <= start_ns), None)
            if line is None or turns > s.turns or hold_ns > s.loop_ns:  # a longer one would run into its own tail
                return None
            self._loops[line] = start_ns + turns * s.loop_ns + hold_ns
            return turns * s.loop_ns, turns
        if s.policy == "buffer":
            self._waiting = [until for until in self._waiting if until > start_ns]
            if len(self._waiting) >= s.memories:
                return None
            self._waiting.append(start_ns + wait_ns)
            return wait_ns, 0
        return None
