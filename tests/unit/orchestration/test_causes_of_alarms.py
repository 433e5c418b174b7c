"""The laws of correlation speak of alarms that somebody raises."""

from __future__ import annotations

from pathlib import Path

import quoit
from quoit.model.metric import METRICS
from quoit.orchestration.laws import LAWS

ROOT = Path(quoit.__file__).parent
CAUSES = set(LAWS) | {cause for causes in LAWS.values() for cause in causes}


def test_every_cause_is_an_alarm_of_some_management_or_a_metric() -> None:
    sources = (*ROOT.glob("*/upkeep.py"), ROOT / "fabric" / "signs.py")
    upkeep = "".join(p.read_text("utf-8") for p in sources)
    unknown = {c for c in CAUSES if not (c in METRICS if c.startswith("quoit_") else f'"{c}"' in upkeep)}
    assert unknown == set()


def test_no_law_lets_an_alarm_explain_itself() -> None:
    assert [effect for effect, causes in LAWS.items() if effect in causes] == []
