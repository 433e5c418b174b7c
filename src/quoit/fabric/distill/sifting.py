"""Sifting of prepare-and-measure QKD: from announced detections to bits in the key basis and the test basis.

    sender                                            receiver
       |   <--- indices and bases of the detections ---   |    no bit values
       |   --- keep mask, intensities of the kept --->    |    `sift_at_sender`
       |   <-->  bits of the kept test-basis detections   |    after `sift_at_receiver`: errors by intensity

The key-basis bits stay secret at both ends; their errors by intensity are known after error correction, when
the receiver compares what it had with what it has (`tally`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint8]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Basis(IntEnum):
    """Z makes key, X tests for the phase error; the values stand in the arrays of bases."""

    Z = 0
    X = 1


@dataclass(frozen=True, slots=True, eq=False)
class Sifted:
    """One end's kept detections, in order of time: three uint8 arrays of one length.

    `bits` are this end's own: secret where `bases` says Z, and only there.
    """

    bases: Bits
    intensities: Bits
    bits: Bits

    def __repr__(self) -> str:
        return f"Sifted({len(self)} detections)"

    def __len__(self) -> int:
        return len(self.bases)

    def _in(self, basis: Basis) -> Mask:
        mask: Mask = self.bases == basis
        return mask

    def bits_in(self, basis: Basis) -> Bits:
        """Own bits of the detections kept in this basis, all intensities together."""
        return self.bits[self._in(basis)]

    def intensities_in(self, basis: Basis) -> Bits:
        """Index of the intensity of each detection kept in this basis."""
        return self.intensities[self._in(basis)]

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Chunks one after another: a block grows from the chunks of detections."""
        if not parts:
            empty = np.zeros(0, dtype=np.uint8)
            return cls(empty, empty, empty)
        return cls(
            np.concatenate([part.bases for part in parts]),
            np.concatenate([part.intensities for part in parts]),
            np.concatenate([part.bits for part in parts]),
        )


def sift_at_sender(
    announced_indices: Index,
    announced_bases: Bits,
    *,
    indices: Index,
    bases: Bits,
    intensities: Bits,
    bits: Bits,
) -> tuple[Mask, Sifted]:
    """What the sender keeps of the receiver's announcement, and the mask to send back with the intensities.

    `announced_*` come from the peer: pulse numbers, strictly ascending, and the receiver's bases. The named
    arrays are the sender's own record, ascending by pulse number. The mask has one entry an announced
    detection; the reply carries it and `Sifted.intensities`.

    ValueError for an announcement that is out of order, repeats a pulse or names one that was not sent: a
    repeated pulse would put one bit into the key twice.
    """
    if announced_indices.shape != announced_bases.shape or announced_indices.ndim != 1:
        raise ValueError(
            f"one basis an announced detection, please: found {announced_indices.shape} indices and "
            f"{announced_bases.shape} bases"
        )
    if len(announced_indices) > 1 and not (np.diff(announced_indices) > 0).all():
        raise ValueError("announced pulse numbers must ascend strictly: a pulse is detected once")
    if announced_bases.size and announced_bases.max() > Basis.X:
        raise ValueError(f"bases are 0 (Z) or 1 (X), found {announced_bases.max()}")
    at = np.searchsorted(indices, announced_indices)
    known = at < len(indices)
    known[known] = indices[at[known]] == announced_indices[known]
    if not known.all():
        unknown = int(announced_indices[int(np.argmin(known))])
        raise ValueError(f"pulse {unknown} was announced as detected, but there is no record of sending it")
    keep = bases[at] == announced_bases
    kept = at[keep]
    return keep, Sifted(bases[kept], intensities[kept], bits[kept])


def sift_at_receiver(keep: Mask, intensities: Bits, *, bases: Bits, bits: Bits) -> Sifted:
    """The receiver's side of `sift_at_sender`: own `bases` and `bits` of the announced detections.

    ValueError when the sender's reply does not fit the announcement.
    """
    if keep.shape != bases.shape:
        raise ValueError(f"the keep mask has {keep.shape} entries for {bases.shape} announced detections")
    if intensities.shape != (int(keep.sum()),):
        raise ValueError(f"{int(keep.sum())} detections were kept, but {intensities.shape} intensities came")
    return Sifted(bases[keep], intensities, bits[keep])


@dataclass(frozen=True, slots=True)
class Tally:
    """Detections and errors by intensity in one basis, index 0 the first intensity."""

    counts: tuple[int, ...]
    errors: tuple[int, ...]

    @property
    def total(self) -> int:
        """Detections of all intensities."""
        return sum(self.counts)

    @property
    def error_rate(self) -> float:
        """Errors over detections of all intensities; 0 without detections."""
        return sum(self.errors) / self.total if self.total else 0.0


def tally(own: Bits, other: Bits, intensities: Bits, n_intensities: int) -> Tally:
    """Count where two bit strings differ, by intensity.

    `other` is the peer's announced test bits, or the own key bits after error correction: then the counts
    are the exact errors that the key basis had. ValueError when lengths or intensities do not fit.
    """
    if not own.shape == other.shape == intensities.shape:
        raise ValueError(f"expected three arrays of one length, found {own.shape}, {other.shape}, {intensities.shape}")
    if intensities.size and intensities.max() >= n_intensities:
        raise ValueError(f"intensity {intensities.max()} of a source with {n_intensities} intensities")
    counts = np.bincount(intensities, minlength=n_intensities)
    errors = np.bincount(intensities[own != other], minlength=n_intensities)
    return Tally(tuple(counts.tolist()), tuple(errors.tolist()))
