"""What is kept of a study: whole lines in any order, torn ones cut off, others' refused."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from quoit.scenario.sweep.check import load
from quoit.scenario.sweep.record import Record, RecordFault
from quoit.scenario.sweep.study import Study
from quoit.scenario.sweep.tables import write_tables
from quoit.scenario.sweep.work import Result

SWEEP = """sweep: 1
name: kept
seeds: 2
base:
  chain:
    {length: 1 km, attenuation: 0.2 dB/km, hardware: {success: 0.5, fidelity: 0.9, attempt: 1 us}, t2: 1 s, pairs: 1}
axes:
  chain.width: [1, 2, 3]
figures: [rate_hz, fidelity]
"""


def study_of(directory: Path, text: str = SWEEP) -> Study:
    file = directory / "sweep.yaml"
    file.write_text(text)
    return load(file)


def results_of(study: Study) -> list[Result]:
    """Made up, one with a fault, one without a figure, and with figures that nobody asked for."""
    found = []
    for run in study.runs():
        figures = {"rate_hz": run.seed / 7, "fidelity": 0.1 * run.point, "swaps": 3}
        if run.key == (2, 0):
            figures["fidelity"] = None
        fault = 'it broke, "badly"' if run.key == (1, 1) else ""
        found.append(Result(run.point, run.repeat, run.seed, {} if fault else figures, fault))
    return found


def kept(study: Study, out: Path, results: list[Result], resume: bool = False) -> dict[tuple[int, int], Result]:
    record = Record(out, study, resume)
    for result in results:
        record.add(result)
    record.close()
    return record.results


def test_tables_are_the_same_for_any_order_and_any_cut(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    results = results_of(study)
    write_tables(tmp_path, study, kept(study, tmp_path / "whole", results))
    whole = {name: (tmp_path / name).read_bytes() for name in ("table.csv", "table.parquet", "summary.csv")}
    lines = (tmp_path / "whole" / "points.jsonl").read_bytes()
    dice = random.Random(1)
    for number in range(12):
        out = tmp_path / str(number)
        shuffled = dice.sample(results, len(results))
        kept(study, out, shuffled)
        points = out / "points.jsonl"
        assert sorted(points.read_bytes().splitlines()) == sorted(lines.splitlines())
        points.write_bytes(points.read_bytes()[: dice.randrange(1, len(lines))])
        begun = Record(out, study, resume=True)
        missing = [result for result in results if (result.point, result.repeat) not in begun.results]
        for result in dice.sample(missing, len(missing)):
            begun.add(result)
        begun.close()
        write_tables(out, study, begun.results)
        assert {name: (out / name).read_bytes() for name in whole} == whole
        assert all(json.loads(line) for line in points.read_bytes().splitlines())
    rows = whole["table.csv"].decode().split("\r\n")
    assert rows[0] == "point,repeat,seed,chain.width,rate_hz,fidelity,fault"
    assert rows[4] == f'1,1,{study.seed_of(1, 1)},2,,,"it broke, ""badly"""'


def test_what_failed_is_tried_again_and_its_success_counts(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    results = results_of(study)
    kept(study, tmp_path / "out", results)
    again = Record(tmp_path / "out", study, resume=True)
    assert set(again.results) == {(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)}
    again.add(Result(1, 1, study.seed_of(1, 1), {"rate_hz": 1.0, "fidelity": 1.0}))
    again.close()
    lines = (tmp_path / "out" / "points.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "out" / "points.jsonl").write_bytes(b"".join(reversed(lines)))
    once_more = Record(tmp_path / "out", study, resume=True)
    once_more.close()
    assert once_more.results == again.results
    assert len(once_more.results) == 6


@pytest.mark.parametrize(
    ("text", "resume", "told"),
    [
        (SWEEP, False, "go on with --resume"),
        (SWEEP.replace("seeds: 2", "seeds: 3"), True, "another study"),
        (SWEEP.replace("pairs: 1", "pairs: 2"), True, "another study"),
        (SWEEP.replace("rate_hz, ", ""), True, "another study"),
    ],
)
def test_a_directory_takes_one_study(text: str, resume: bool, told: str, tmp_path: Path) -> None:
    study = study_of(tmp_path)
    kept(study, tmp_path / "out", results_of(study))
    before = (tmp_path / "out" / "points.jsonl").read_bytes()
    with pytest.raises(RecordFault, match=told):
        Record(tmp_path / "out", study_of(tmp_path, text), resume)
    assert (tmp_path / "out" / "points.jsonl").read_bytes() == before


def test_a_directory_takes_one_process_at_a_time(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    first = Record(tmp_path / "out", study, resume=True)
    with pytest.raises(RecordFault, match=r"a sweep runs in .* already"):
        Record(tmp_path / "out", study, resume=True)
    first.close()
    Record(tmp_path / "out", study, resume=True).close()


@pytest.mark.parametrize("line", [b"{}\n", b"not a line\n", b'{"point":9,"repeat":0,"seed":1,"figures":{}}\n'])
def test_a_line_that_no_kill_leaves_is_refused(line: bytes, tmp_path: Path) -> None:
    study = study_of(tmp_path)
    kept(study, tmp_path / "out", results_of(study))
    points = tmp_path / "out" / "points.jsonl"
    lines = points.read_bytes().splitlines(keepends=True)
    points.write_bytes(b"".join([*lines[:2], line, *lines[2:]]))
    with pytest.raises(RecordFault, match=r"points\.jsonl:3: "):
        Record(tmp_path / "out", study, resume=True)
    points.write_bytes(b"".join([*lines, lines[0].replace(b"0.0", b"0.5")]))
    with pytest.raises(RecordFault, match="above with other figures"):
        Record(tmp_path / "out", study, resume=True)
