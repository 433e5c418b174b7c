"""What the synthetic environment tells devices, and what devices may ask of it. Resource plane only.

Counts come at the end of each chunk of running time. What they mean is between the two halves of a link
protocol: its sampler here, its receiver in `fabric.links`.
"""

from __future__ import annotations

from quoit.model.secret import Secret
from quoit.runtime.wire import Message, message

ENGINE = "engine"
"""The engine's name and place."""


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
    classical message of the round about it was altered on its way, so its tag does not fit."""

    link: str
    serial: int
    end_ns: int
    duration_ns: int
    counts: tuple[int, ...]
    tampered: bool = False


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
    record has no intensities."""

    link: str
    serial: int
    end_ns: int
    duration_ns: int
    pulses: int
    indices: bytes
    bases: bytes
    bits: Secret
    intensities: bytes = b""


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
