"""Models whose codes are given a prior after training; see `layers/fitted_priors.py`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasvid.layers.fitted_priors import FittedPrior, GaussianPrior, PriorFit, make_prior

ADDED = "prior", "code_encoder"  # in the configs of models
FURTHER = "further"  # name of the noise that chooses the Gaussian of a mixture


class CodePriors:
    """Mix-in for a `keras.Model` with codes that a prior can be fitted to.

    A subclass defines `code_sizes` and `fit_prior`, and draws codes from `priors` where there are
    any. The choice is saved with the model.
    """

    priors: dict[str, FittedPrior]  # by group of codes; empty where none was fitted
    prior_config: dict[str, Any] | None = None  # kind and arguments of all of them
    categories: int = 0  # classes that priors tell apart

    def code_sizes(self) -> dict[str, tuple[int, int]]:
        """By group of codes that are drawn together: the size of a code, and its components."""
        raise NotImplementedError

    def has_gaussian_prior(self) -> bool:
        """As `Trainer.has_gaussian_prior`."""
        return self.prior_config is None or self.prior_config["kind"] == GaussianPrior.kind

    def fit_prior(self, kind: str, *args: Any, **kwargs: Any) -> dict[str, PriorFit | None]:
        """Fits a prior of a kind to the codes; `generate` draws from it from then on."""
        raise NotImplementedError

    def set_prior(self, kind: str | None, **arguments: Any) -> None:
        """Gives the model a prior of a kind that is not fitted yet; `None` takes it away.

        Args:
            kind: a key of `fitted_priors.PRIORS`.
            **arguments: of the kind.

        Raises:
            ValueError: the kind is unknown, or an argument is.
        """
        made = self._make_priors(kind, arguments) if kind else {}
        for prior in made.values():
            prior.seal()
        self.predict_function = None  # of Keras, traced with the prior before
        self.replace_layers("priors", made)
        self.prior_config = {"kind": kind, **arguments} if kind else None

    def fit_groups(
        self,
        kind: str,
        codes: Mapping[str, np.ndarray],
        steps: int,
        seed: int,
        arguments: Mapping[str, Any],
        draws: int = 1,
        labels: np.ndarray | None = None,
    ) -> dict[str, PriorFit | None]:
        """Makes and fits the priors of all groups to codes, as in `FittedPrior.fit`."""
        fitted = self._make_priors(kind, arguments)
        fits = {
            group: prior.fit(codes[group], steps, seed, draws, labels)
            for group, prior in fitted.items()
        }
        with self.distribute_strategy.scope():  # type: ignore[attr-defined]  # of Keras
            self.set_prior(kind, **arguments)
        for group, prior in fitted.items():
            self.priors[group].set_weights(prior.get_weights())
        return fits

    def check_prior(self, kind: str, arguments: Mapping[str, Any]) -> None:
        """Raises ValueError for an unknown kind or argument, before the codes are found."""
        if not self.code_sizes():
            raise ValueError("The model has no codes by video or identity to fit a prior to.")
        if "categories" in arguments:
            raise ValueError("The classes of a prior are those of its model. Remove categories.")
        self._make_priors(kind, arguments)

    def _make_priors(self, kind: str, arguments: Mapping[str, Any]) -> dict[str, FittedPrior]:
        if self.categories:
            arguments = {**arguments, "categories": self.categories}
        return {
            group: make_prior(kind, size, count, name=f"{group}_prior", **arguments)
            for group, (size, count) in self.code_sizes().items()
        }

    # === Layers that are added to a finished model ===

    def replace_layers(self, name: str, layers: dict[str, Any]) -> None:
        """Makes a dictionary of layers an attribute of the built model, in place of another."""
        # Private to Keras, whose own `enable_lora` adds weights so; a test names the versions.
        tracker: Any = self._tracker  # type: ignore[attr-defined]
        for old in getattr(self, name, {}).values():
            tracker.untrack(old)
        locked = tracker.locked
        tracker.unlock()
        setattr(self, name, layers)
        if locked:
            tracker.lock()

    def added(self) -> dict[str, dict[str, Any] | None]:
        """The configs of what was added to the model, by name, as a saved model has them."""
        return {"prior": self.prior_config}

    def add(self, configs: Mapping[str, Any]) -> None:
        """Adds what another model's `added` says, without its weights, and removes the rest."""
        if configs.get("prior") != self.prior_config:
            self.set_prior(**configs.get("prior") or {"kind": None})

    def get_config(self) -> dict[str, Any]:
        added = {name: dict(config) for name, config in self.added().items() if config}
        return {**super().get_config(), **added}  # type: ignore[misc]  # of Keras

    @classmethod
    def from_config(cls, config: dict[str, Any], *args: Any, **kwargs: Any):
        """As in Keras; what was added to a saved model is made again."""
        added = {name: config[name] for name in ADDED if name in config}
        own = {name: value for name, value in config.items() if name not in ADDED}
        model = super().from_config(own, *args, **kwargs)  # type: ignore[misc]  # of Keras
        model.add(added)
        return model
