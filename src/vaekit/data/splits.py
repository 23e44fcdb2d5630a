"""Splits into training, validation and test rows."""

from __future__ import annotations

import numpy as np

from vaekit.data.chunks import is_mapped
from vaekit.data.dataset import Split
from vaekit.data.mapped import take
from vaekit.errors import UserError


def cut(split: Split, shares: dict[str, float], seed: int, name: str) -> dict[str, Split]:
    """Cut parts off a split: rows at random, or in order without copying if the array is large and mapped.

    Args:
        split: all rows.
        shares: by part, the share of the rows or the number of rows that is set aside; the rest is ``train``.
        seed: which rows.
        name: what errors call it.

    Raises:
        UserError: if the shares, the seed or the number of rows do not allow it.
    """
    rows = len(split.x)
    if rows <= len(shares):
        raise UserError(
            f"{name} has {rows} row{'s' * (rows != 1)}, and at least {len(shares) + 1} are needed to set aside "
            f"{' and '.join(shares)} rows."
        )
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UserError(f"split_seed must be a whole number from 0 to 2^32 − 1, got {seed}.")
    counts = {}
    for part, share in shares.items():
        is_share = isinstance(share, float) and 0 < share < 1
        if not is_share and not (isinstance(share, int) and share >= 1):
            raise UserError(f"{part} must be a share of the rows between 0 and 1 or a number of rows, got {share}.")
        counts[part] = max(1, round(share * rows)) if is_share else int(share)
    if sum(counts.values()) >= rows:
        wanted = " and ".join(f"{count} {part}" for part, count in counts.items())
        raise UserError(f"{name} has {rows} rows: with {wanted} rows set aside none are left for training.")
    mapped = is_mapped(split.x)
    order = np.arange(rows) if mapped else np.random.RandomState(seed).permutation(rows)
    result, start = {}, 0
    for part, count in {"train": rows - sum(counts.values()), **counts}.items():
        piece = slice(start, start + count) if mapped else np.sort(order[start : start + count])
        x = split.x[piece] if isinstance(piece, slice) else take(split.x, piece)
        beside = (split.label, split.condition, split.mask, split.length)
        label, condition, mask, length = (column if column is None else column[piece] for column in beside)
        result[part] = Split(x, label, None, condition, mask, length)
        start += count
    return result
