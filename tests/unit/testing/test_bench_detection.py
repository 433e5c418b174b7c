"""The figures of detection, in a tenth of a tenth of the benchmark's time.

False-alarm probability of a clean run: each limit is a likelihood ratio of e^30, so 20,000 readings of four tests pass
it with less than 1e-8.
"""

from __future__ import annotations

import pytest

from quoit.testing.bench.detection import ATTACKS, delay_s, false_alarms


@pytest.mark.parametrize("name", ATTACKS)
def test_each_attack_is_found_by_its_name_within_its_bound(name: str) -> None:
    channel, cause, bound = ATTACKS[name]
    assert bound is not None
    assert sorted(delay_s(channel, cause, seed) for seed in range(3))[1] <= bound


def test_clean_links_raise_no_alarm() -> None:
    assert false_alarms(20_000, 2) == 0
