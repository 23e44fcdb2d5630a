"""Text tables written again with their missing cells filled."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import IO, Any

from vaekit.data.chunks import Array
from vaekit.data.formats.csv import is_blank, is_gap, layout_of, rows_of
from vaekit.data.formats.table import label_place, missing_words


def refill(
    path: Path, file: IO[str], columns: tuple[str, ...], values: Array, options: dict[str, Any], delimiter: str
) -> None:
    """Write the file at ``path`` with values in the cells that were not observed.

    Args:
        path: a ``.csv`` or ``.tsv`` that was read with these options.
        file: where to write.
        columns: the names of the columns of ``values``, in any order; none if the file has none.
        values: ``(rows, columns)``; only what stands where a gap is will be used.
        options: ``label``, ``header`` and ``missing``, as of :func:`vaekit.data.formats.csv.read`.
        delimiter: between cells.
    """
    layout = layout_of(path, options.get("header"), missing_words(options.get("missing")))
    label = label_place(options.get("label"), layout.columns, layout.width, f"{path}")
    numbers = [place for place in range(layout.width) if place != label]
    # From the place of a cell to the column of the values; a column left out (numbers of rows) has none.
    if layout.columns:
        names = [name or f"column {number}" for number, name in enumerate(layout.columns, start=1)]
        found = {name: column for column, name in enumerate(columns)}
        columns_of = {place: found[names[place]] for place in numbers if names[place] in found}
    else:
        columns_of = {place: column for column, place in enumerate(numbers)}
    out = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    with rows_of(path, layout.delimiter) as reader:
        rows = (row for row in reader if not is_blank(row))
        if layout.columns:
            out.writerow(next(rows))
        for row, filled in zip(rows, values, strict=True):
            for place, column in columns_of.items():
                if is_gap(row[place], layout.missing):
                    row[place] = repr(filled[column].item())
            out.writerow(row)
