"""The estimators: classes whose `fit` makes a model and trains it.

Imports `../models`, and scikit-learn, so the package loads this module on first use. Read next:
`../datasets/digits.py`.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from ..activations import sigmoid, softmax
from ..engine.expect import expect
from ..engine.extras import missing
from ..engine.refusal import answering
from ..models import Model
from ..models.cloning import clone_model
from ..random import set_random_seed

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    raise missing("An estimator of `tinynet.wrappers`", "sklearn") from None

NESTED = "model_kwargs__", "fit_kwargs__"  # a key follows: the parameter is that item of the dict


@contextmanager
def _seeded(seed: Any) -> Iterator[None]:
    """Seed the global generators as `set_random_seed` does, and restore them."""
    before = random.getstate(), np.random.get_state()
    set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


class _Wrapper(BaseEstimator):
    """An estimator that trains a model.

    Parameters
    ----------
    model : compiled Model, or function
        `fit` trains a clone of the model, with new weights, or the model that the function returns
        when it is called with the training data as ``X=`` and ``y=``, and with `model_kwargs`.
    warm_start : bool
        Whether `fit` continues with the model of the last `fit`, and trains the given model itself
        instead of a clone.
    model_kwargs : dict, optional
        Arguments for the function. Each one is also a parameter, ``model_kwargs__units``, and so
        are those that have defaults in the function.
    fit_kwargs : dict, optional
        Arguments for `Model.fit`, parameters as well: ``fit_kwargs__epochs``. Arguments of `fit`
        itself take precedence.
    random_state : int, optional
        A seed for the weights and the order of samples at each `fit`. By default they come from
        the global generators, see `utils.set_random_seed`. Keras has no such option.

    Attributes
    ----------
    model_ : Model, trained
    history_ : History, of the last `fit`
    n_features_in_ : int
    """

    def __init_subclass__(cls) -> None:
        cls.__doc__ = (cls.__doc__ or "") + (_Wrapper.__doc__ or "").partition("\n")[2]

    def __init__(
        self,
        model: Any,
        warm_start: bool = False,
        model_kwargs: dict[str, Any] | None = None,
        fit_kwargs: dict[str, Any] | None = None,
        random_state: Any = None,
    ) -> None:
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs
        self.random_state = random_state

    @answering
    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; if `deep`, also ``model_kwargs__units`` and the like."""
        found = super().get_params(deep=False)
        is_function = deep and callable(self.model) and not isinstance(self.model, Model)
        known = inspect.signature(self.model).parameters.values() if is_function else ()
        items = {NESTED[0] + p.name: p.default for p in known if p.default is not p.empty}
        for name in NESTED if deep else ():
            given = found[name.strip("_")]
            items |= {name + k: v for k, v in given.items()} if isinstance(given, dict) else {}
        return found | items

    def set_params(self, **params: Any) -> Any:
        """Set parameters by their names in `get_params`; the dicts given before do not change."""
        items = {key: value for key, value in params.items() if key.startswith(NESTED)}
        super().set_params(**{key: params[key] for key in params.keys() - items.keys()})
        for key, value in items.items():
            name, _, item = key.partition("__")
            setattr(self, name, {**(getattr(self, name) or {}), item: value})
        return self

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **kwargs: Any) -> Any:
        """Train a model on arrays of shape (samples, features) and (samples,) or (samples, n).

        Parameters
        ----------
        sample_weight : array, optional
        **kwargs : other arguments of `Model.fit`

        Returns
        -------
        this estimator

        Raises
        ------
        RuntimeError
            If the model is not compiled.
        TypeError
            If `model` is neither a Model nor a function that returns one.
        ValueError
            For data that scikit-learn or the model refuses.
        """
        X, y = validate_data(self, X, y, **self._checks)
        y = self._encoded(y)
        with nullcontext() if self.random_state is None else _seeded(self.random_state):
            model = self._new_model(X, y)
            is_column = getattr(model, "output_shape", ())[1:] == (1,)
            if is_column and hasattr(self, "classes_") and y.shape[1] == 2:
                y = y[:, 1:]
            options = {"sample_weight": sample_weight} | (self.fit_kwargs or {}) | kwargs
            self.history_ = model.fit(X, y, **options)
        self.model_ = model
        return self

    _checks: dict[str, Any] = {"multi_output": True, "y_numeric": True}

    def _new_model(self, X: Any, y: Any) -> Model:
        model = getattr(self, "model_", self.model) if self.warm_start else self.model
        if isinstance(model, Model):
            model = model if self.warm_start else clone_model(model)
        elif callable(model):
            model = model(X=X, y=y, **(self.model_kwargs or {}))
        expect(isinstance(model, Model), "model", "a Model or a function", type(model), TypeError)
        expect(model.compiled and model.loss, "model", "a compiled Model", model, RuntimeError)
        return model

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        """Return the targets as the model receives them: one row for each sample."""
        self._ndim = y.ndim
        return y.reshape(len(y), -1)

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self.model_.predict(validate_data(self, X, reset=False), verbose=0)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions, in the form of the targets that `fit` received."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._ndim == 1 and outputs.shape[1:] == (1,) else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = self.random_state is None
        tags.target_tags.required = True
        tags.target_tags.multi_output = "multi_output" in self._checks
        if tags.transformer_tags:
            tags.transformer_tags.preserves_dtype = []
        return tags


class SKLearnRegressor(_Wrapper, RegressorMixin, BaseEstimator):
    """A regressor; `score` is R^2.

    >>> import tinynet as tn
    >>> def line(X, y, rate=0.5):
    ...     model = tn.Sequential([tn.Input(X.shape[1:]), tn.layers.Dense(y.shape[1])])
    ...     model.compile(tn.optimizers.SGD(rate), "mse")
    ...     return model
    >>> estimator = SKLearnRegressor(line, fit_kwargs={"epochs": 100, "verbose": 0})
    >>> estimator.fit([[0.0], [1.0]], [1.0, 3.0]).predict([[2.0]]).round(2)
    array([5.], dtype=float32)
    >>> estimator.get_params()["model_kwargs__rate"]
    0.5
    """


class SKLearnTransformer(_Wrapper, TransformerMixin, BaseEstimator):
    """A transformer: `transform` returns what the model predicts.

    >>> import tinynet as tn
    >>> model = tn.Sequential([tn.layers.Dense(2)])
    >>> model.compile("sgd", "mse")
    >>> x = [[0.0], [1.0], [2.0]]
    >>> SKLearnTransformer(model).fit(x, [[0, 1], [1, 2], [2, 3]], verbose=0).transform(x).shape
    (3, 2)
    """

    def transform(self, X: Any) -> np.ndarray:
        """Return the outputs of the model."""
        return self._outputs(X)


class SKLearnClassifier(_Wrapper, ClassifierMixin, BaseEstimator):
    """A classifier; `score` is the accuracy.

    Labels may be numbers or strings. The model is trained on a one-hot row for each sample, for
    losses such as "categorical_crossentropy". If it has one output, it is trained on a column of 0
    and 1, for "binary_crossentropy". Attribute: `classes_`, array of the labels in order.

    >>> import tinynet as tn
    >>> model = tn.Sequential([tn.layers.Dense(2, activation="softmax")])
    >>> model.compile(tn.optimizers.SGD(1.0), "categorical_crossentropy")
    >>> estimator = SKLearnClassifier(model, fit_kwargs={"epochs": 50, "verbose": 0})
    >>> estimator.fit([[-1.0], [1.0]], ["no", "yes"]).predict([[-2.0], [2.0]]).tolist()
    ['no', 'yes']
    """

    _checks: dict[str, Any] = {}

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        expect(len(self.classes_) > 1, "y", "two classes or more", f"one class: {self.classes_}")
        return np.eye(len(self.classes_))[codes]

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each sample."""
        codes = self.predict_proba(X).argmax(-1)
        return self.classes_[codes]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, in the order of `classes_`.

        These are the outputs, or for a loss with ``from_logits=True`` their softmax or sigmoid;
        each row is divided by its sum.
        """
        outputs = self._outputs(X)
        is_column = outputs.shape[-1] == 1
        if getattr(self.model_.loss, "from_logits", False):
            outputs = (sigmoid if is_column else softmax)(outputs).numpy()
        found = np.concatenate([1 - outputs, outputs], -1) if is_column else outputs
        return found / found.sum(-1, keepdims=True)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the outputs of the model as they are, as in Keras.

        For two classes, scikit-learn's scorers expect one number per sample here: ask for
        ``make_scorer(roc_auc_score, response_method="predict_proba")``.
        """
        return self._outputs(X)
