"""The true state of the world: spans, what travels on them, and who tampers with it.

Only the engine reads it; only the scenario's events and attacks edit it. Nobody is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from quoit.engine.air import AirPath
from quoit.engine.physics.silica import excess_db
from quoit.model.spectrum import Slot
from quoit.runtime.wire import Message, message

ADD_DROP = "add/drop"
"""The port of a switch where its node's own equipment is; its other ports have the names of spans."""
ISOLATION_DB = 100.0
"""Of a quantum channel's filter against light outside it, where the network file does not say."""


@dataclass
class TrueSpan:
    """A fibre as it really is, or a path through air. `bend_db` is loss added by events: a bend, or weather.
    `tapped_db` is the loss that a coupler makes which leads a share of the light away to an eavesdropper.

    Loss is of 1550 nm; connectors and splices are taken as spread along the fibre, and a bend as near its sender.
    `amplified`: at its far end, in either direction, an amplifier gives classical channels back what the span lost when
    it was commissioned. No quantum light comes through. Named approximation: the gain is the same for all channels, and
    the light that amplifiers add by themselves ends at the next filter.
    """

    name: str
    loss_db: float
    bend_db: float = 0.0
    cut: bool = False
    a: str = ""
    b: str = ""
    length_km: float = 0.0
    air: AirPath | None = None
    tapped_db: float = 0.0
    amplified: bool = False

    @property
    def total_db(self) -> float | None:
        """Loss now; None if no light passes."""
        if self.cut:
            return None
        added = self.bend_db + self.tapped_db
        if self.air is not None:
            return None if self.air.loss_db is None else self.air.loss_db + added
        return self.loss_db + added

    def excess_db(self, wl_nm: float) -> float:
        """What light of another wavelength loses more than light of 1550 nm (negative: less)."""
        return 0.0 if self.air is not None else excess_db(wl_nm, self.length_km, self.loss_db)

    def other_end(self, node: str) -> str:
        """Where one comes out who goes in at a node."""
        return self.b if node == self.a else self.a


@dataclass
class TrueLink:
    """The quantum channel of one link as it really is.

    `intercepted` is the fraction of pulses that an eavesdropper measures and sends on (intercept-resend).
    `depolarised` is the share of a pair link's pairs that a fault of its devices replaces by white noise.
    `tampered` is the probability with which somebody on the classical channel alters a message of a round.
    `rate_bps` overrides the key rate of a link whose rate is given instead of modelled; None: as given.
    `source` is the sender's node (empty: it has no light of its own, and goes over others that have), `slot` where in
    the spectrum it sends, `drift` what slow changes of polarisation or phase add to its error rate (or take away from
    it); of a link for entangled pairs, the share by which its pairs are depolarised, until it is calibrated.
    `calibrating`: its devices are being adjusted, and make no pairs.

    `split` is the share of single photons that an eavesdropper blocks while she keeps one photon of each pulse of
    several (photon-number splitting). `blinded`: she has taken over the receiver's detectors with bright light and
    sends on what she has measured (faked states). `spares_tests`: somebody tells her beforehand which pairs will be
    tests and which key, so of those that she measures no test shows anything.
    """

    name: str
    spans: tuple[str, ...]
    intercepted: float = 0.0
    depolarised: float = 0.0
    tampered: float = 0.0
    rate_bps: float | None = None
    source: str = ""
    slot: Slot | None = None
    isolation_db: float = ISOLATION_DB
    drift: float = 0.0
    split: float = 0.0
    blinded: bool = False
    calibrating: bool = False
    spares_tests: bool = False


@dataclass
class TrueChannel:
    """Classical light: from `source` along `spans`, `launch_dbm` into the first fibre (None: off). `bare`: somebody
    couples it into the fibre itself, past the switch at its source."""

    name: str
    source: str
    spans: tuple[str, ...]
    slot: Slot
    launch_dbm: float | None = None
    bare: bool = False


@dataclass(frozen=True, slots=True)
class TrueJoint:
    """Two ports that are joined, around a frequency; 0: whatever it is."""

    ports: frozenset[str]
    centre_mhz: int


@dataclass
class TrueSwitch:
    """An optical switch or ROADM: which two of its ports each channel joins. A channel without an entry is blocked.

    `selective`: it switches by wavelength, so a channel that moves to another one has to be switched again.
    """

    insertion_db: float
    switching_ns: int
    selective: bool = True
    joints: dict[str, TrueJoint] = field(default_factory=dict)

    def joint(self, port: str, other: str, centre_mhz: int) -> TrueJoint:
        """What joins two ports for a channel of this frequency."""
        return TrueJoint(frozenset((port, other)), centre_mhz if self.selective else 0)


@dataclass(frozen=True, slots=True)
class Hop:
    """One span on somebody's way."""

    span: TrueSpan
    entry: str
    exit: str


@dataclass
class World:
    """All spans and links of a scenario."""

    spans: dict[str, TrueSpan] = field(default_factory=dict)
    links: dict[str, TrueLink] = field(default_factory=dict)
    edition: int = 0
    """Grows whenever the light of a link may have changed."""
    channels: dict[str, TrueChannel] = field(default_factory=dict)
    switches: dict[str, TrueSwitch] = field(default_factory=dict)
    hijacked: dict[str, float] = field(default_factory=dict)
    """By node: the share of swaps whose results it makes up."""

    def loss_db(self, link: str) -> float | None:
        """End-to-end loss of a link's path, dB; None if a span of it is dark or a switch blocks it."""
        return self.loss_of(self.links[link])

    def loss_of(self, true: TrueLink) -> float | None:
        """The same for light that need not be a link's."""
        total = 0.0
        for name in true.spans:
            loss = self.spans[name].total_db
            if loss is None or self.spans[name].amplified:
                return None
            total += loss
            if true.slot is not None:
                total += self.spans[name].excess_db(true.slot.wavelength_nm)
        for passed in self._switched(true.name, true.source, true.spans):
            if passed is None:
                return None
            total += passed
        return total

    def tapped(self, link: str) -> float:
        """Share of the light leaving a link's sender that ends in taps of its fibres."""
        through, caught = 1.0, 0.0
        for name in self.links[link].spans:
            span = self.spans[name]
            taken = 1 - 10 ** (-span.tapped_db / 10)
            caught += through * taken  # a coupler at the near end of the span
            total = span.total_db
            through *= 0.0 if total is None else 10 ** (-total / 10)
        return caught

    def hops(self, source: str, spans: tuple[str, ...]) -> list[Hop]:
        """The way along some spans from a node."""
        found = []
        for name in spans:
            span = self.spans[name]
            found.append(Hop(span, source, source := span.other_end(source)))
        return found

    def passing_db(self, name: str, node: str, port: str, other: str) -> float | None:
        """Loss of a channel between two ports at a node; None if it does not pass."""
        switch = self.switches.get(node)
        if switch is None:
            return 0.0  # a patch panel
        joint = switch.joints.get(name)
        return switch.insertion_db if joint is not None and joint.ports == {port, other} else None

    def _switched(self, name: str, source: str, spans: tuple[str, ...]) -> Iterator[float | None]:
        if not self.switches or not source:  # without a source it is no light
            return
        ports = [ADD_DROP, *spans, ADD_DROP]
        nodes = [source, *(hop.exit for hop in self.hops(source, spans))]
        for node, port, other in zip(nodes, ports, ports[1:], strict=False):
            yield self.passing_db(name, node, port, other)


@message("world.CutSpan")
class CutSpan(Message):
    """Cut a fibre, or (`cut` false) splice it again."""

    span: str
    cut: bool = True


@message("world.BendSpan")
class BendSpan(Message):
    """Set the loss that a bend adds to a fibre, or weather to a path through air, dB."""

    span: str
    loss_db: float


@message("world.Intercept")
class Intercept(Message):
    """An eavesdropper measures and resends this fraction of a link's pulses (0: she has gone). `spares_tests`: see
    `TrueLink`."""

    link: str
    fraction: float
    spares_tests: bool = False


@message("world.Hijack")
class Hijack(Message):
    """A repeater is in somebody's hands: of this fraction of its swaps it tells results that it has made up (0: it is
    honest again)."""

    node: str
    fraction: float


@message("world.Split")
class Split(Message):
    """An eavesdropper splits photon numbers on a link: she keeps a photon of each pulse of several, lets the others
    through without loss, and blocks this fraction of single photons, or as many as keep the signal's rate (0: she has
    gone)."""

    link: str
    fraction: float


@message("world.Blind")
class Blind(Message):
    """An eavesdropper blinds a link's detectors and sends faked states (`on` false: she has gone)."""

    link: str
    on: bool = True


@message("world.Tap")
class Tap(Message):
    """A coupler in a fibre leads light away; it costs so many dB (0: it is taken out)."""

    span: str
    loss_db: float


@message("world.Misalign")
class Misalign(Message):
    """The devices of a link for entangled pairs have drifted: its pairs are depolarised by `share` (0: as told)."""

    link: str
    share: float


@message("world.Depolarise")
class Depolarise(Message):
    """A fault turns this share of a pair link's pairs into white noise (0: it is mended)."""

    link: str
    fraction: float


@message("world.Tamper")
class Tamper(Message):
    """Somebody alters a classical message of this fraction of a link's rounds (0: no more). A round is a chunk."""

    link: str
    fraction: float


@message("world.SetRate")
class SetRate(Message):
    """Change the rate of a link whose rate is given; None: back to what the network file says."""

    link: str
    rate_bps: float | None


@message("world.Shine")
class Shine(Message):
    """Somebody whom no inventory knows sends light into a span from its first end; `launch_dbm` None: no more."""

    span: str
    launch_dbm: float | None
    centre_mhz: int
    width_mhz: int


@message("world.Mistune")
class Mistune(Message):
    """A channel's transmitter sends with another power than it was told to; None: as it was told."""

    channel: str
    launch_dbm: float | None
