"""Kinds of values in arrays, and checks of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from vaekit.data.chunks import Array, chunks, find, refuse
from vaekit.data.download import say
from vaekit.data.kinds import Binary, Categories, Counts, GreyLevels, Kind, Real
from vaekit.data.missing import NAN_HINT
from vaekit.errors import UserError, unknown

KINDS = ("binary", "grey", "real", "counts", "categories")
BINARIZATIONS = ("none", "static", "dynamic")
LARGEST = float(np.finfo(np.float32).max)  # models compute in single precision


class Checked:
    """Arrays of one data set by part, with what errors call them and their columns.

    Args:
        arrays: ``(rows, …)`` by part.
        titles: what errors call each of them.
        columns: names of the columns of a table.
    """

    def __init__(self, arrays: dict[str, Array], titles: dict[str, str], columns: tuple[str, ...] = ()) -> None:
        self.arrays = arrays
        self.titles = titles
        self.columns = columns

    def choose(self, kind: str | Kind | None, binarization: str | None) -> Kind:
        """The kind asked for, or the one that the values look like; checked against the values.

        Raises:
            UserError: if the values are not of this kind, or not finite.
        """
        if binarization is not None and binarization not in BINARIZATIONS:
            raise unknown("binarization", f"{binarization}", BINARIZATIONS)
        if kind is not None and not isinstance(kind, Kind) and kind not in KINDS:
            raise unknown("kind", f"{kind}", KINDS)
        self._check_finite()
        if isinstance(kind, Kind):
            self._check_kind(kind)
            return kind
        bits = self.only_bits()
        if binarization == "dynamic":
            return self._dynamic(kind, bits)
        kind = kind or ("binary" if binarization == "static" else self._guess(bits))
        if kind == "real":
            return Real()
        if kind == "grey":
            self._check_grey("kind=grey")
            return GreyLevels(256)
        if kind == "binary":
            self._check_whole("kind=binary", 1, "binarization=dynamic draws 0 and 1 from grey levels.")
            return Binary()
        if kind == "counts":
            self._check_whole("kind=counts", math.inf, "use kind=real.")
            return Counts()
        self._check_whole("kind=categories", 2**31 - 1, "number the categories from 0.")
        return Categories(1 + max(int(chunk.max()) for array in self.arrays.values() for _, chunk in chunks(array)))

    def only_bits(self) -> bool:
        """Whether all values are 0 or 1."""
        return all(find(array, lambda chunk: (chunk != 0) & (chunk != 1)) is None for array in self.arrays.values())

    def _refuse(self, part: str, bad: Callable[[Array], Array], what: str, hint: str = "") -> None:
        refuse(self.arrays[part], self.titles[part], bad, what, hint, self.columns)

    def _check_finite(self) -> None:
        for part, array in self.arrays.items():
            if array.dtype.kind == "f" and (first := find(array, _not_finite)) is not None:
                hint = NAN_HINT if np.isnan(array[first]) else ""
                self._refuse(part, _not_finite, "values that are not finite", hint)
            if array.dtype.kind == "f" and array.dtype.itemsize > 4:
                self._refuse(
                    part,
                    lambda chunk: np.abs(chunk) > LARGEST,
                    "values beyond ±3.4e38, which single precision cannot hold",
                    "use other units.",
                )
            if array.dtype == np.uint64:
                self._refuse(part, lambda chunk: chunk >= 2**63, "integers of 2^63 or more", "use other units.")

    def _check_kind(self, kind: Kind) -> None:
        if isinstance(kind, Real):
            return
        top = getattr(kind, "levels", getattr(kind, "num_categories", math.inf)) - 1
        hint = ""
        if top == 255 and all(
            find(each, lambda chunk: (chunk < 0) | (chunk > 1)) is None for each in self.arrays.values()
        ):
            said = "kind=grey" if isinstance(kind, GreyLevels) else "binarization=dynamic"
            hint = f"numbers from 0 to 1 are taken for grey levels if you say {said}."
        self._check_whole(f"the kind '{kind.describe()}'", top, hint)

    def _dynamic(self, kind: str | None, bits: bool) -> Kind:
        if kind not in (None, "binary", "grey"):
            raise UserError(f"binarization=dynamic needs grey levels, not kind={kind}.")
        if not bits:
            self._check_grey("binarization=dynamic")
            return Binary(levels=256, binarization="dynamic")
        title = next(iter(self.titles.values()))
        say(f"{title} holds only 0 and 1: there is nothing to draw, it is taken as static")
        return Binary()

    def _guess(self, bits: bool) -> str:
        if bits:
            return "binary"
        types = {array.dtype.kind if array.dtype != np.uint8 else "grey" for array in self.arrays.values()}
        if types == {"grey"}:
            return "grey"
        if "f" in types:
            return "real"
        hint = "say what they are: kind=real for numbers, kind=categories after numbering them from 0."
        for part in self.arrays:
            self._refuse(part, lambda chunk: chunk < 0, "negative integers", hint)
        return "counts"

    def _check_grey(self, why: str) -> None:
        for part, array in self.arrays.items():
            top = 1 if array.dtype.kind == "f" else 255
            self._refuse(
                part,
                lambda chunk, top=top: (chunk < 0) | (chunk > top),
                f"values outside 0 … {top}, which {why} does not allow",
                "scale the data first.",
            )

    def _check_whole(self, why: str, top: float, hint: str = "") -> None:
        """Refuse values that are not whole numbers from 0 to ``top``."""
        allowed = "0 or 1" if top == 1 else "whole numbers from 0" + (f" to {top}" if top < 2**31 - 1 else "")
        for part in self.arrays:
            self._refuse(
                part,
                lambda chunk: (chunk < 0) | (chunk > top) | (chunk != np.rint(chunk)),
                f"values that are not {allowed}, as {why} needs",
                hint,
            )


def _not_finite(chunk: Array) -> Array:
    return ~np.isfinite(chunk)
