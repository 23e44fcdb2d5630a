"""Variational autoencoder as a scikit-learn estimator: transformer, density and outlier detector."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from vaekit.data.dataset import Dataset
from vaekit.errors import Interrupted, UserError
from vaekit.parts.record import to_document
from vaekit.recipes import make
from vaekit.sklearn import parameters
from vaekit.sklearn.rows import RowInference, own_noise
from vaekit.sklearn.table import KINDS, log_scales, split_of, training_data
from vaekit.training import fit


def _detects(estimator: VAE) -> bool:
    """Whether the estimator is an outlier detector.

    Raises:
        AttributeError: if no threshold was asked for.
    """
    if estimator.contamination is None:
        raise AttributeError("a threshold between inliers and outliers needs contamination, a share of the rows")
    return True


class VAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Variational autoencoder of a table.

    ``transform`` gives the means of q(z|x), ``inverse_transform`` the means of p(x|z), ``score_samples`` log p(x) and
    ``sample`` new rows. With ``contamination`` it is an outlier detector as well: ``predict``, ``decision_function``
    and ``fit_predict``. Cells that are NaN are missing: the density is that of the observed cells.

    Where a parameter is ``"auto"``, ``fit`` chooses as ``vaekit train`` does (:class:`vaekit.recipes.Defaults`). Parts
    are named as there, ``"mixture:num_components=10"``.

    Args:
        latent_dim: length of the latent.
        hidden: widths of the hidden layers of encoder and decoder; ``()`` for linear ones.
        prior: p(z).
        posterior: q(z|x).
        likelihood: p(x|z); by default the one that fits the kind of the data.
        objective: what is maximised: the evidence lower bound. With ``auto`` its KL term is warmed up as by
            ``vaekit train``.
        kind: what the numbers are: ``real`` (standardised by column), ``binary``, ``counts``, ``categories`` (0, 1, …)
            or ``grey`` (levels 0 … 255). By default 0 and 1 are binary, ``uint8`` is grey levels, other integers that
            are not negative are counts, and the rest is real.
        epochs: passes over the training rows; by default as many as make 400,000 rows, between 20 and 300.
        batch_size: rows in a batch.
        learning_rate: of Adam.
        validation_fraction: share of the rows that is set aside: the weights of the epoch with the best bound on them
            are kept. With 0, or fewer than 10 rows, all rows are trained on and the bound on these decides.
        importance_samples: draws for each row of ``score_samples``.
        contamination: share of the training rows that are outliers, above 0 and at most 0.5; ``None`` for no threshold.
        warm_start: whether a second ``fit`` trains the fitted model for ``epochs`` more. It keeps its kind and scale of
            the data, and the optimiser starts afresh.
        random_state: of the weights, the rows set aside, their order and all noise.
        verbose: whether progress is shown on stderr.
        device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for the best there is.

    Attributes:
        model_: the trained :class:`vaekit.VAE`, on the processor; it sees standardised numbers.
        kind_: what the numbers are, with mean and scale of the columns (:mod:`vaekit.data.kinds`).
        history_: a record of each epoch, as in ``metrics.jsonl`` of a run.
        offset_: the threshold: ``decision_function`` is ``score_samples`` minus it.
        n_features_in_: columns of X.
        feature_names_in_: their names, if X had names.

    >>> import numpy as np, vaekit as vk
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> vae = vk.sklearn.VAE(latent_dim=2, hidden=(16,), epochs=2, random_state=0).fit(X)
    >>> vae.transform(X).shape, vae.score_samples(X).shape, vae.sample(3).shape
    ((60, 2), (60,), (3, 5))
    """

    def __init__(
        self,
        latent_dim: int | str = "auto",
        *,
        hidden: tuple[int, ...] | str = "auto",
        prior: str = "standard-normal",
        posterior: str = "diagonal",
        likelihood: str = "auto",
        objective: str = "elbo",
        kind: str = "auto",
        epochs: int | str = "auto",
        batch_size: int | str = "auto",
        learning_rate: float | str = "auto",
        validation_fraction: float = 0.1,
        importance_samples: int = 100,
        contamination: float | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
        device: str = "auto",
    ) -> None:
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.prior = prior
        self.posterior = posterior
        self.likelihood = likelihood
        self.objective = objective
        self.kind = kind
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.importance_samples = importance_samples
        self.contamination = contamination
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.device = device

    def fit(self, X: Any, y: Any = None) -> VAE:
        """Train on the rows of X.

        Args:
            X: ``(rows, columns)``; NaN where nothing was observed.
            y: not looked at.

        Raises:
            ValueError: if a parameter is out of range or X cannot be used.
        """
        options, settings = self._asked()
        fraction = parameters.share(self, "validation_fraction")
        further = bool(self.warm_start) and hasattr(self, "model_")
        X = validate_data(self, X, ensure_all_finite="allow-nan", reset=not further)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with _as_value_errors():
            kind = self.kind_ if further else parameters.word(self, "kind", KINDS)
            data = training_data(X, kind, fraction, seed)
            model, history = self._trained(data, options, settings | {"seed": seed}, further)
        self.model_, self.kind_, self._seed = model, data.kind, seed
        before = self.history_ if further else []
        self.history_ = [*before, *({**record, "epoch": record["epoch"] + len(before)} for record in history)]
        self._n_features_out = self._rows_by_row().units
        if self.contamination is not None:
            self.offset_ = np.percentile(self._scores(X), 100 * self.contamination)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The means of q(z|x).

        Args:
            X: ``(rows, columns)``.

        Returns:
            ``(rows, latent_dim)``.
        """
        X = self._checked(X)
        with _as_value_errors():
            z = self._rows_by_row().means(split_of(X, self.kind_), self._seed)
        return z.astype(_floating(X), copy=False)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """The means of p(x|z) in the units of the data: numbers, probabilities of 1, means of counts; of grey levels
        and categories the nearest one.

        Args:
            X: latents, ``(rows, latent_dim)``.

        Returns:
            ``(rows, columns)``.
        """
        check_is_fitted(self)
        z = check_array(X, dtype=[np.float64, np.float32], input_name="X")  # type: ignore[arg-type]
        if z.shape[1] != self._n_features_out:
            raise ValueError(f"X has {z.shape[1]} features, and the latent of this VAE has {self._n_features_out}.")
        return self._rows_by_row().decoded(z).astype(z.dtype, copy=False)

    def score_samples(self, X: Any) -> np.ndarray:
        """log p(x) of each row in nats, in the units of the data: how ordinary it is.

        It is the importance-weighted estimate log (1/K) Σ_k p(x|z_k) p(z_k) / q(z_k|x) with K = ``importance_samples``
        draws, in expectation a lower bound that is tighter with K (Burda et al. 2016). The draws are the same for all
        rows and at each call. Of a posterior without a density (``point``) it is log p(x|z) at the code.

        Args:
            X: ``(rows, columns)``; of missing cells no term is counted.

        Returns:
            ``(rows,)``; a log-density of real numbers, a log-probability of discrete ones.
        """
        return self._scores(self._checked(X))

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of :meth:`score_samples`: higher is better.

        Args:
            X: ``(rows, columns)``.
            y: not looked at.
        """
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None) -> np.ndarray:
        """New rows: z from p(z), x from p(x|z), in the units of the data.

        Args:
            n_samples: how many.
            random_state: of the draws; other ones at each call by default.

        Returns:
            ``(n_samples, columns)``.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}.")
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        return self._rows_by_row().drawn(n_samples, seed).astype(np.float64, copy=False)

    @available_if(_detects)
    def decision_function(self, X: Any) -> np.ndarray:
        """``score_samples`` minus ``offset_``: negative for outliers.

        Args:
            X: ``(rows, columns)``.
        """
        return self.score_samples(X) - self.offset_

    @available_if(_detects)
    def predict(self, X: Any) -> np.ndarray:
        """1 for inliers, −1 for outliers.

        Args:
            X: ``(rows, columns)``.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    @available_if(_detects)
    def fit_predict(self, X: Any, y: Any = None) -> np.ndarray:
        """:meth:`fit` and :meth:`predict` of the same rows."""
        return self.fit(X, y).predict(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator" if self.contamination is None else "outlier_detector"
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _asked(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The parameters as options of the recipe and settings of the training.

        Raises:
            ValueError: if one is out of range.
        """
        hidden = parameters.widths(self, "hidden")
        options = {
            "latent_dim": parameters.whole(self, "latent_dim", 1, auto=True),
            "network": None if hidden is None else f"mlp:hidden={'/'.join(map(str, hidden))}" if hidden else "linear",
            "prior": parameters.word(self, "prior"),
            "posterior": parameters.word(self, "posterior"),
            "likelihood": parameters.word(self, "likelihood"),
            "objective": parameters.word(self, "objective"),
            "epochs": parameters.whole(self, "epochs", 1, auto=True),
            "learning_rate": parameters.number(self, "learning_rate", 0, auto=True),
        }
        settings = {"batch_size": parameters.whole(self, "batch_size", 1, auto=True), "device": self.device}
        parameters.whole(self, "importance_samples", 1)
        if self.contamination is not None:
            parameters.number(self, "contamination", 0, 0.5)
        # A compiler started by a small table would be a surprise.
        return _given(options), _given(settings) | {"compile": False}

    def _trained(
        self, data: Dataset, options: dict[str, Any], settings: dict[str, Any], further: bool
    ) -> tuple[torch.nn.Module, list[dict[str, Any]]]:
        """The trained model and the records of its epochs.

        Raises:
            UserError: if the parts do not fit each other or the data.
            ValueError: if the fitted model was made with other parameters.
        """
        with own_noise(settings["seed"]):
            plan = make("vae", data, options)
            model = copy.deepcopy(self.model_) if further else plan.model
            if to_document(model) != to_document(plan.model):
                raise ValueError(
                    f"warm_start trains the fitted model further, and it was made with other parameters than "
                    f"{self!r}: fit with warm_start=False."
                )
            settings = {**plan.settings, **settings}
            run = fit(model, plan.data, phases=plan.phases, quiet=not self.verbose, initialize=not further, **settings)
            return run.model.cpu(), run.metrics

    def _rows_by_row(self) -> RowInference:
        return RowInference(self.model_, self.kind_, self.device)

    def _checked(self, X: Any) -> np.ndarray:
        """Rows of the form of those that were trained on.

        Raises:
            ValueError: if X is not of the form of the rows that were trained on.
        """
        check_is_fitted(self)
        rows: Any = validate_data(self, X, ensure_all_finite="allow-nan", reset=False)
        return rows

    def _scores(self, X: np.ndarray) -> np.ndarray:
        with _as_value_errors():
            rows = split_of(X, self.kind_)
            log_p = self._rows_by_row().log_p(rows, self.importance_samples, self._seed)
        scales = log_scales(self.kind_, X.shape[1])
        return log_p - (scales.sum() if rows.mask is None else rows.mask @ scales)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Without what is left to the recipe."""
    return {name: value for name, value in options.items() if value is not None}


def _floating(X: np.ndarray) -> type:
    return np.float32 if X.dtype == np.float32 else np.float64


@contextmanager
def _as_value_errors() -> Iterator[None]:
    """Context that raises what scikit-learn expects.

    Raises:
        ValueError: for a mistake that vaekit has a sentence for.
        KeyboardInterrupt: if training was stopped: there is no state to go on from.
    """
    try:
        yield
    except UserError as error:
        # A hint in the language of the command line is of no use here.
        usable = error.hint and not re.search(r"--\w|missing=", error.hint)
        raise ValueError(f"{error}" if usable else error.message) from error
    except Interrupted as error:
        raise KeyboardInterrupt from error
