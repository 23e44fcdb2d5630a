"""``.parquet``, read by pyarrow (the extra ``table``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vaekit.data.arrays import check_names
from vaekit.data.chunks import Array
from vaekit.data.formats.content import Content, decoding
from vaekit.data.formats.table import as_labels, content, label_place, quoted
from vaekit.data.missing import NAN_HINT, check_nan
from vaekit.errors import UserError

BATCH_ROWS = 65536
INDEX = "__index_level_0__"  # what pandas calls the numbers of the rows


def read(path: Path, *, label: Any = None, missing: Any = None) -> Content:
    """A table of numbers.

    Args:
        path: the file.
        label: the name of the column that is the label.
        missing: ``nan`` if an empty cell and NaN stand for what was not observed.

    Raises:
        UserError: if pyarrow is not installed, a column holds no numbers, or cells are empty or not finite.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(
            f"{path} is a .parquet file, and reading it needs pyarrow, which is not installed.",
            hint="pip install 'vaekit[table]'",
        ) from error
    with decoding(path), parquet.ParquetFile(path) as file:
        return _content(file, label, check_nan(missing, f"{path}"), f"{path}")


def _content(file: Any, label: Any, gaps: bool, name: str) -> Content:
    schema = file.schema_arrow
    columns = tuple("" if column == INDEX else column for column in schema.names)
    check_names(tuple(column for column in columns if column), name)
    if not columns or not file.metadata.num_rows:
        raise UserError(f"{name} is empty: it has {file.metadata.num_rows} rows and {len(columns)} columns.")
    place = label_place(label, columns, len(columns), name)
    numeric = [index for index in range(len(columns)) if index != place]
    _check_types(schema, columns, numeric, name)
    x = np.empty((file.metadata.num_rows, len(numeric)))
    labels: list[str] = []
    start = 0
    for batch in file.iter_batches(batch_size=BATCH_ROWS):
        rows = slice(start, start + batch.num_rows)
        for column, index in enumerate(numeric):
            x[rows, column] = _doubles(batch.column(index))
        if place is not None:
            labels += ["" if value is None else f"{value}" for value in batch.column(place).to_pylist()]
        start = rows.stop
    names = tuple(columns[index] for index in numeric)
    _check_finite(x, names, gaps, name)
    mask = ~np.isnan(x) if gaps and np.isnan(x).any() else None
    if mask is not None:
        x[~mask] = 0
    # The numbers of the rows stand last in what pandas writes.
    if "" in names:
        order = _index_first(names)
        names, x = tuple(names[index] for index in order), np.ascontiguousarray(x[:, order])
        mask = None if mask is None else mask[:, order]
    return content(x, names, None if place is None else as_labels(labels), name, mask)


def _doubles(array: Any) -> Array:
    """A column as doubles, NaN where it is empty."""
    import pyarrow

    return array.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False)


def _check_types(schema: Any, columns: tuple[str, ...], numeric: list[int], name: str) -> None:
    from pyarrow import types

    sorts = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    for index in numeric:
        found = schema.field(index).type
        if not any(sort(found) for sort in sorts):
            raise UserError(
                f"column {quoted(columns, index)} of {name} holds values of type {found}, "
                "but only numbers can be used.",
                hint=f"if this column is the label, say so: {name}:label={columns[index]}",
            )


def _check_finite(x: Array, columns: tuple[str, ...], gaps: bool, name: str) -> None:
    bad = np.isinf(x) if gaps else ~np.isfinite(x)
    count = int(bad.sum())
    if count:
        row, column = (int(place) for place in np.unravel_index(int(bad.argmax()), bad.shape))
        raise UserError(
            f"{name} holds {count:,} cell{'s' * (count != 1)} without a finite number; the first is in row {row} "
            f"(counted from 0), column {quoted(columns, column)}: "
            f"{'empty' if np.isnan(x[row, column]) else x[row, column]}.",
            hint=NAN_HINT if np.isnan(x[row, column]) else "leave these rows out or fill in the values first.",
        )


def _index_first(columns: tuple[str, ...]) -> list[int]:
    place = columns.index("")
    return [place, *(index for index in range(len(columns)) if index != place)]
