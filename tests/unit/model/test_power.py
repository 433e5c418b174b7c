"""The table of powers says where each number comes from."""

from __future__ import annotations

import pytest

from quoit.model.power import POWERS, Basis, PowerRow


@pytest.mark.realises("G4")
@pytest.mark.parametrize("row", POWERS.values(), ids=POWERS.keys())
def test_what_is_published_has_a_source_and_what_is_assumed_has_none(row: PowerRow) -> None:
    assert row.watts > 0
    assert row.help
    assert bool(row.source) is (row.basis is not Basis.ASSUMPTION)
