"""Recipes: plans, and the list of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import nn

from vaekit.data.dataset import Dataset
from vaekit.errors import UserError, unknown
from vaekit.parts.build import fitting
from vaekit.recipes.defaults import Defaults
from vaekit.training.settings import Phase


class Plan(NamedTuple):
    """What a recipe returns: a model and how it is trained.

    Attributes:
        model: assembled, not trained.
        phases: the stretches of training, in order.
        data: what it is trained on (the recipe may hide labels, for example).
        settings: of the training, where nothing else is asked for.
    """

    model: nn.Module
    phases: tuple[Phase, ...]
    data: Dataset
    settings: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Recipe:
    """A named system.

    Attributes:
        name: as on the command line.
        title: what it is, in a line.
        paper: authors, year, where.
        function: ``(data, **options) -> Plan``.
    """

    name: str
    title: str
    paper: str
    function: Callable[..., Plan]

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """Its options by name."""
        parameters = inspect.signature(self.function).parameters
        return {name: parameter for name, parameter in parameters.items() if name != "data"}


_RECIPES: dict[str, Recipe] = {}


def recipe(name: str, *, title: str, paper: str) -> Callable[[Callable[..., Plan]], Callable[..., Plan]]:
    """Enter a function in the list of recipes."""

    def enter(function: Callable[..., Plan]) -> Callable[..., Plan]:
        _RECIPES[name] = Recipe(name, title, paper, function)
        return function

    return enter


def recipes() -> Mapping[str, Recipe]:
    """All recipes by name."""
    return dict(sorted(_RECIPES.items()))


def make(name: str, data: Dataset, options: Mapping[str, Any]) -> Plan:
    """The plan of a recipe, for as many epochs as fit the data if its options name no other length.

    Raises:
        UserError: for an unknown recipe, an option that it does not take, or one that does not fit.
    """
    if name not in _RECIPES:
        raise unknown("recipe", name, _RECIPES)
    known = _RECIPES[name].options
    fitted: dict[str, Any] = {}
    for key, value in options.items():
        if key not in known:
            raise unknown(f"option of the recipe '{name}'", key, known)
        fitted[key] = fitting(f"the option {key} of the recipe '{name}'", value, known[key].annotation)
    for key in ("latent_dim", "epochs"):
        if (value := options.get(key)) is not None and value < 1:
            raise UserError(f"{key} must be at least 1, got {value}.")
    try:
        return _RECIPES[name].function(data, **{"epochs": Defaults(data).epochs, **fitted})
    except ValueError as error:
        raise UserError(f"the recipe '{name}' cannot be made: {error}.") from error
