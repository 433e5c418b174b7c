"""Tables for other programs: CSV, and Parquet where pyarrow is (the `data` extra)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write_table(stem: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Path]:
    """Write STEM.csv and STEM.parquet, and say which there are; None is an empty cell."""
    text = stem.with_suffix(".csv")
    with text.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerows(rows)
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:  # the `data` extra is not installed: CSV is what there is
        return [text]
    arrays = {c: [row[i] for row in rows] for i, c in enumerate(columns)}
    columnar = stem.with_suffix(".parquet")
    parquet.write_table(pa.table(arrays), columnar)
    return [text, columnar]
