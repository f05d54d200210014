"""What layers and models own: weights, further layers, and terms of the loss.

Imports the engine, `initializers.py`, `regularizers.py`, `constraints.py`, `tree.py`. Read next:
`base.py`, where layers compute.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import constraints, initializers, regularizers, tree
from ..configs.files import memory
from ..engine.expect import expect
from ..engine.refusal import answering
from ..engine.tensor import Tensor, as_dtype, as_tensor
from ..engine.variable import Variable, assign_all, paired, structure
from ..random import SeedGenerator
from .symbolic import KerasTensor, context


class Module:
    """An owner of the variables among its attributes, also in lists and dicts there.

    It owns the modules among its attributes, too, and their variables.
    """

    name: str
    dtype: str
    built = False
    _unwatched = frozenset({"_own", "_frozen", "_regularizers"})

    def __init__(self, trainable: bool) -> None:
        self._trainable = bool(trainable)
        self._own: list[Variable] = []  # made by `add_weight`
        self._frozen: set[Variable] = set()  # the own variables that never train
        self._regularizers: dict[Variable, Callable[[Tensor], Any]] = {}

    # -- variables ----------------------------------------------------------------------------

    @answering
    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Return a new weight of `shape`, filled by `initializer`.

        The default initializer is glorot_uniform, or zeros for integers and booleans. What
        `regularizer` returns for the weight is added to the loss while it trains. What `constraint`
        returns for it replaces it after each update.

        Raises
        ------
        ValueError
            For an unknown length in `shape`, and for unknown names.
        """
        expect(not isinstance(shape, str), "add_weight", "the weight's name as `name=`", shape)
        shape = () if shape is None else tuple(shape)
        expect(None not in shape, "add_weight", "a shape of known lengths", shape)
        name, dtype = name or "variable", dtype or self.dtype
        default = "glorot_uniform" if np.dtype(as_dtype(dtype)).kind == "f" else "zeros"
        fill = initializers.get(initializer or default)
        value = memory.allocator.weight(fill, shape, dtype)
        scope = context.scope if self in context.scope else (*context.scope, self)
        path = "/".join((*(layer.name for layer in scope), name))
        weight = Variable(value, dtype, trainable and self._trainable, name, path)
        weight.constraint, penalty = constraints.get(constraint), regularizers.get(regularizer)
        self._own.append(weight)
        structure.change()
        if penalty is not None:
            self._regularizers[weight] = penalty
        if not trainable:
            self._frozen.add(weight)
        return weight

    add_variable = add_weight

    def _parts(self) -> tuple[list[Variable], list[Any]]:
        """Return the variables, those that never train last, and the layers among the attributes.

        One search finds both, since it runs for each layer in every call of `fit`.
        """
        found = dict.fromkeys([*self._own, *tree.instances((Variable, Module), vars(self))])
        own = [x for x in found if isinstance(x, Variable)]
        layers = [x for x in found if not isinstance(x, Variable)]
        return sorted(own, key=self._frozen.__contains__), layers

    @property
    def layers(self) -> list[Any]:
        """The layers among the attributes."""
        return self._parts()[1]

    def _flatten_layers(self) -> list[Any]:
        """Return the layer, the layers inside it, and those inside them, each once."""
        inner = (x for layer in self.layers for x in layer._flatten_layers())
        return list(dict.fromkeys([self, *inner]))

    @property
    def weights(self) -> list[Variable]:
        """All weights: the layer's own, those that train first, then those of its layers."""
        own, layers = self._parts()
        inner = [w for layer in layers for w in layer.weights]
        return list(dict.fromkeys(own + inner)) if inner else own

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes: none if the layer is not `trainable`."""
        return [w for w in self.weights if w.trainable] if self._trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training does not change."""
        return [w for w in self.weights if not (w.trainable and self._trainable)]

    trainable_variables = trainable_weights

    @property
    def variables(self) -> list[Variable]:
        """The weights, then the states of the random generators."""
        attributes = [vars(layer) for layer in self._flatten_layers()]
        states = (generator.state for generator in tree.instances(SeedGenerator, attributes))
        return list(dict.fromkeys([*self.weights, *states]))

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables that training does not change, or that layers change by themselves."""
        return [v for v in self.variables if not (v.trainable and self._trainable)]

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; setting it sets it for the layers inside, too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        own, layers = self._parts()
        if self._trainable:  # variables that do not train now shall not train later
            self._frozen.update(w for w in own if not w.trainable)
        self._trainable = bool(value)
        for weight in set(own) - self._frozen:
            weight.trainable = self._trainable
        for layer in layers:
            layer.trainable = self._trainable

    @property
    def metrics(self) -> list[Any]:
        """The metrics among the attributes of the layer, and of layers, not models, inside it."""
        return attached_metrics(self)

    @property
    def metrics_variables(self) -> list[Variable]:
        """The state of the metrics."""
        return [v for metric in self.metrics for v in metric.variables]

    # -- numbers ------------------------------------------------------------------------------

    def get_weights(self) -> list[np.ndarray]:
        """Return the numbers of all weights, copied."""
        return [np.array(w) for w in self.weights]

    def set_weights(self, weights: list[Any]) -> None:
        """Give the weights new numbers, in the order of `get_weights`.

        Raises
        ------
        ValueError
            If the number of arrays or a shape differs from those of `get_weights`, and for anything
            but numbers; then nothing is changed.
        """
        own = self.weights
        listed = hasattr(weights, "__len__") and not isinstance(weights, type)
        expect(listed, "weights", "a list of arrays", weights)
        if len(weights) != len(own):
            found = f"{len(own)} weights, received length {len(weights)}"
            raise ValueError(f"Layer '{self.name}' has {found}.")
        assign_all(paired(f"weights of layer '{self.name}'", own, [*weights]))

    def count_params(self) -> int:
        """Return the number of weights' elements; ValueError before the layer is built."""
        if not self.built:
            raise ValueError(f"count_params: build layer '{self.name}' first, to give it weights.")
        return sum(w.size for w in self.weights)

    # -- losses -------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Add a scalar tensor, or several, to the loss that the model is trained on.

        Call it in `call`, with tensors computed there.

        >>> import tinynet as tn
        >>> class Watched(tn.layers.Layer):
        ...     def call(self, inputs):
        ...         self.add_loss(0.1 * tn.ops.sum(inputs))
        ...         return inputs
        >>> layer = Watched()
        >>> layer([[1.0, 2.0]]), layer.losses
        (tensor([[1., 2.]], dtype=float32), [tensor(0.3, dtype=float32)])
        """
        symbolic = [*tree.instances(KerasTensor, [loss])]
        expect(not symbolic, "add_loss", "a tensor that a layer computes in its `call`", loss)
        context.losses.setdefault(self, []).extend(map(as_tensor, tree.flatten(loss)))

    @property
    def losses(self) -> list[Tensor]:
        """The losses that the last call added, then those of regularizers of trainable weights."""
        layers = self._flatten_layers()
        added = [x for layer in layers for x in context.losses.get(layer, ())]
        penalties = {w: f for layer in layers for w, f in layer._regularizers.items()}
        trained = (w for w in self.trainable_weights if w in penalties) if penalties else ()
        return added + [as_tensor(penalties[w](w.value)) for w in trained]


def attached_metrics(layer: Module) -> list[Any]:
    """Return the metrics among the attributes of a layer, and of layers, not models, inside it."""
    home = sys.modules.get(f"{__name__.split('.')[0]}.metrics")  # without it, there are none
    if home is None:
        return []
    others = (x for x in layer._flatten_layers()[1:] if not hasattr(type(x), "train_step"))
    parts = [{**vars(x), "_given_metrics": None, "_tracker": None} for x in (layer, *others)]
    return list(dict.fromkeys(tree.instances(home.Metric, parts)))


INSTEAD = "Write a layer of your own, or use Keras, which reads the files that `model.save` writes."


def refuse_options(name: str, **options: Any) -> None:
    """Raise ValueError for options of Keras that tinynet does not have, unless they are None."""
    given = {key: value for key, value in options.items() if value is not None}
    if given:
        raise ValueError(f"{name}: out of tinynet's scope: {given}. {INSTEAD}")
