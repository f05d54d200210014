"""New models like those that are there, or that JSON describes.

Imports `sequential.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from .. import tree
from ..configs.serialization import (
    CustomObjectScope,
    deserialize_keras_object,
    noting_custom_objects,
    serialize_keras_object,
)
from ..layers.base import Layer
from ..layers.core import Input
from ..saving.archive import model_of
from ..saving.files import refusing
from . import graph
from .functional import Functional
from .sequential import Sequential


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return a model, of new weights, made from what `to_json` returned.

    Raises
    ------
    ValueError
        For what is no JSON, or describes no model that can be made here.
    """
    with refusing("the JSON text"):
        return model_of(json.loads(json_string), custom_objects)


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """Return a model like this one, of new layers and so of new weights, compiled if it is.

    Parameters
    ----------
    model : Model
    input_tensors : KerasTensor, or a structure of them as the model's inputs, optional
        Placeholders to begin with instead of new ones.
    clone_function : function of a layer to a layer, optional
        By default ``type(layer).from_config(layer.get_config())``.
    call_function : function ``(layer, inputs, **options)`` to outputs, optional
        Instead of calling the layer; for functional models only.
    recursive : bool
        Whether to clone the layers of models within in the same way.

    Raises
    ------
    ValueError
        For a subclassed model with any of these arguments; for `call_function` with a Sequential.

    >>> import tinynet as tn
    >>> model = tn.Sequential([tn.Input((2,)), tn.layers.Dense(1)])
    >>> clone_model(model).get_weights()[0].shape
    (2, 1)
    """
    is_stack, is_graph = isinstance(model, Sequential), isinstance(model, Functional)
    if not (is_stack or is_graph) and (input_tensors or clone_function or call_function):
        raise ValueError(
            "Arguments `clone_function`, `call_function` and `input_tensors` are for Sequential "
            f"and functional models only. Received a model of type {type(model).__name__}."
        )
    if is_stack and call_function is not None:
        raise ValueError(
            "`call_function` is for functional models only. Received a model of type "
            f"{type(model).__name__}."
        )

    def copied(layer: Any) -> Any:
        if recursive and isinstance(layer, (Sequential, Functional)):
            call = call_function if isinstance(layer, Functional) else None
            return clone_model(layer, None, clone_function, call, True)
        return clone_function(layer) if clone_function else _like(layer)

    if is_graph:
        copies = {layer: copied(layer) for layer in graph.as_copied(model._plan)}
        made = graph.again(
            model._plan, model.input, model.output, copies, input_tensors, call_function
        )
        clone = type(model)(*made, name=model.name)
    elif is_stack:
        entrance = model._entrance
        if input_tensors is not None:
            (entrance,) = tree.flatten(input_tensors)
        elif entrance is not None:
            entrance = Input(
                batch_shape=entrance.batch_shape, dtype=entrance.dtype, name=entrance.name
            )
        layers = [copied(layer) for layer in model.layers]
        clone = Sequential([*([] if entrance is None else [entrance]), *layers], name=model.name)
    else:
        return _like(model)
    if model.compiled:
        with noting_custom_objects() as known:
            config = model.get_compile_config()
        with CustomObjectScope(known):
            clone.compile_from_config(config)
    return clone


def _like(layer: Any) -> Any:
    """Return a layer or model of the same config; users' own objects are known by their names."""
    with noting_custom_objects() as known:
        config = serialize_keras_object(layer)
    config.pop("build_config", None)
    with CustomObjectScope(known):
        return deserialize_keras_object(config)
