"""What the synthetic environment tells devices, and what devices may ask of it. Resource plane only.

Counts come at the end of each chunk of running time. What they mean is between the two halves of a link
protocol: its sampler here, its receiver in `fabric.links`.
"""

from __future__ import annotations

from quoit.engine.program import Circuit
from quoit.model.secret import Secret
from quoit.runtime.wire import Message, message

ENGINE = "engine"
"""The engine's name and place."""

PAIRS = "engine.pairs"
"""The engine's part that keeps entangled states."""

MEASURED = "engine.measured"
"""The engine's part whose pairs are measured as soon as they are there."""


@message("engine.OpenLink")
class OpenLink(Message):
    """Switch a link's light on; chunks follow to both of its modules until `CloseLink`."""

    link: str


@message("engine.CloseLink")
class CloseLink(Message):
    link: str


@message("engine.Chunk")
class Chunk(Message):
    """What was detected on a link in `[end_ns - duration_ns, end_ns)`: the protocol's own counts. `tampered`: a
    classical message of the round about it was altered on its way, so its tag does not fit. `bright`: the detectors'
    supply drew far more current than single photons make it draw."""

    link: str
    serial: int
    end_ns: int
    duration_ns: int
    counts: tuple[int, ...]
    tampered: bool = False
    bright: bool = False


@message("engine.DrawKey")
class DrawKey(Message):
    """The `bits` (a multiple of 8) that distillation of `block` left at both ends alike (mode `counts`)."""

    link: str
    block: int
    bits: int


@message("engine.DrawnKey")
class DrawnKey(Message):
    value: Secret


@message("engine.RawChunk")
class RawChunk(Message):
    """One end's own record of single detections (mode `exact`): NumPy buffers, as `engine.links.exact`
    describes them. `indices` are pulse numbers (int64), the others one byte a detection; the receiver's
    record has no intensities. `bright`: as in `Chunk`."""

    link: str
    serial: int
    end_ns: int
    duration_ns: int
    pulses: int
    indices: bytes
    bases: bytes
    bits: Secret
    intensities: bytes = b""
    bright: bool = False


@message("engine.WatchLight")
class WatchLight(Message):
    """Report the light level of a span to `observer`, now and whenever it changes."""

    span: str
    observer: str


@message("engine.LightLevel")
class LightLevel(Message):
    """Loss of a span as a power meter reads it; None: no light at all."""

    span: str
    loss_db: float | None
    at_ns: int


@message("engine.Emit")
class Emit(Message):
    """A transmitter of classical light: from now on send this; `launch_dbm` None: stay off; no spans: it is removed."""

    channel: str
    source: str
    spans: tuple[str, ...]
    centre_mhz: int
    width_mhz: int
    launch_dbm: float | None


@message("engine.RouteLight")
class RouteLight(Message):
    """A link's quantum channel goes along these spans at this frequency from now on, as far as switches let it."""

    link: str
    spans: tuple[str, ...]
    centre_mhz: int


class Joint(Message):
    """Two ports of the switch at a node, joined for one channel around a frequency; empty ports: the channel is
    blocked there."""

    node: str
    port: str
    other: str
    centre_mhz: int


@message("engine.SetJoints")
class SetJoints(Message):
    """Set a channel's cross-connects. Answered by `Joints` when the slowest of the switches has settled; until then
    the channel is dark where something changes."""

    channel: str
    joints: tuple[Joint, ...]


@message("engine.Joints")
class Joints(Message):
    channel: str
    joints: tuple[Joint, ...]
    at_ns: int


class Line(Message):
    """What the optical channel monitor at a span's end `node` shows of one channel: power, and OSNR in 0.1 nm."""

    node: str
    centre_mhz: int
    width_mhz: int
    dbm: float
    osnr_db: float


@message("engine.SpectrumSeen")
class SpectrumSeen(Message):
    """All channels that the monitors of a span see, whenever that has changed."""

    span: str
    lines: tuple[Line, ...]
    at_ns: int


@message("engine.SendTestLight")
class SendTestLight(Message):
    """A test set sends weak pulses along these spans, as far as switches let `channel` pass, and counts what arrives:
    `photons` of mean number in all, within gates of `gates_ns` together; then as long as `dark_ns` without light.
    Answered by `TestLightSeen`."""

    channel: str
    source: str
    spans: tuple[str, ...]
    centre_mhz: int
    width_mhz: int
    isolation_db: float
    photons: float
    gates_ns: int
    dark_ns: int
    efficiency: float
    dark_hz: float


@message("engine.TestLightSeen")
class TestLightSeen(Message):
    """Clicks with light and without, and how long the light took."""

    __test__ = False
    clicks: int
    dark_clicks: int
    delay_ns: int


# -- entangled states -------------------------------------------------------------------------------------


@message("engine.InstallCircuit")
class InstallCircuit(Message):
    """Run `program` along `links` from node `left` to node `right`. The n-th pair that it delivers goes into the
    n-th of `left_slots` and `right_slots`; their holders `left_agent` and `right_agent` hear `PairHeld`:
    when both ends have heard of all swaps, or, `early`, each as soon as it has. `adopts`: the circuit of the same
    program that goes on under this name, with what it has in its memories."""

    circuit: str
    links: tuple[str, ...]
    left: str
    right: str
    left_agent: str
    right_agent: str
    program: Circuit
    left_slots: tuple[int, ...]
    right_slots: tuple[int, ...]
    adopts: str = ""
    early: bool = False


@message("engine.MorePairs")
class MorePairs(Message):
    """One pair more of a circuit, into these slots."""

    circuit: str
    left_slot: int
    right_slot: int


@message("engine.StopCircuit")
class StopCircuit(Message):
    """`leaves`: the name under which its program goes on, keeping pairs ready that nobody has asked for."""

    circuit: str
    leaves: str = ""


@message("engine.PairHeld")
class PairHeld(Message):
    """Half of a pair is in memory `slot` since `at_ns`; pair number `number` of the circuit. `attempt_ns`: since when
    its oldest part was stored; `heralded_ns`: when this end had heard of all swaps; `corrected_ns`: both ends."""

    circuit: str
    number: int
    slot: int
    at_ns: int
    attempt_ns: int = 0
    heralded_ns: int = 0
    corrected_ns: int = 0


@message("engine.CircuitCounted")
class CircuitCounted(Message):
    """To the agent at a circuit's head: what has happened on its way since the last such news, up to `at_ns` and told
    then. `expired`: qubits that were discarded at a cut-off; `failed`: swaps and rounds of purification that gave
    nothing, which are not among the others."""

    circuit: str
    at_ns: int
    heralds: int
    swaps: int
    purifications: int
    failed: int
    expired: int


@message("engine.Calibrate")
class Calibrate(Message):
    """Adjust the devices of a link for entangled pairs, which takes `takes_ns` and leaves it dark meanwhile. Answered
    with `Calibrated`; Problem `switching` while it is under way."""

    link: str
    takes_ns: int


@message("engine.Calibrated")
class Calibrated(Message):
    link: str
    at_ns: int


@message("engine.Operate")
class Operate(Message):
    """Do the primitive `name` (`engine.primitives`) at a node on the qubits in `slots`. `basis`: X, Y or Z;
    `angle_rad`: of rotations; `pauli`: I, X, Y or Z. Answered by `Operated` when it is done."""

    node: str
    name: str
    slots: tuple[int, ...]
    basis: str = "Z"
    angle_rad: float = 0.0
    pauli: str = "I"


@message("engine.OperateInTurn")
class OperateInTurn(Message):
    """Do these operations at one node, one after the other. Answered by `OperatedInTurn`; Problem `bad-operation` at
    the first that cannot be done, and what came before it has been done."""

    steps: tuple[Operate, ...]


@message("engine.OperatedInTurn")
class OperatedInTurn(Message):
    """`bits`: what each operation read."""

    bits: tuple[tuple[int, ...], ...]
    began_ns: int
    done_ns: int


@message("engine.Operated")
class Operated(Message):
    """`bits`: what was read."""

    bits: tuple[int, ...]
    ok: bool
    done_ns: int


@message("engine.MeasurePairs")
class MeasurePairs(Message):
    """Run `program`, which has no end, along pair links from node `left` to node `right`; both ends read every half as
    it is handed over, in settings of their own choice. What they count comes as `Chunk`s of `link`, until
    `CloseLink`."""

    link: str
    links: tuple[str, ...]
    left: str
    right: str
    program: Circuit
