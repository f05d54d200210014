"""New models that copy an existing one, or that JSON describes.

Imports `sequential.py`. Read next: `../viz/graph.py`, which draws models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import tree
from ..configs.files import allowance, parsed, refusing
from ..configs.serialization import CustomObjectScope, noting_custom_objects, serialize_keras_object
from ..engine.expect import expect
from ..engine.refusal import answering
from ..layers.base import Layer
from ..saving.archive import model_of
from .model import Functional, GraphModel
from .sequential import Sequential


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return a model, with new weights, made from what `to_json` returned.

    Raises
    ------
    ValueError
        For text that is not JSON, or does not describe a model that tinynet has.
    """
    with refusing("the JSON text `json_string`"):
        text = json_string.encode()
        return model_of(parsed(text, allowance(text)), custom_objects)


@answering
def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """Return a model like this one, with new layers and so new weights; compiled if it is.

    Parameters
    ----------
    model : Model
    input_tensors : KerasTensor, or a structure of them as the model's inputs, optional
        Placeholders to begin with instead of new ones.
    clone_function : function from a layer to a layer, optional
        By default ``type(layer).from_config(layer.get_config())``.
    call_function : function ``(layer, *args, **options)`` to outputs, optional
        Used instead of calling the layer; for functional models only.
    recursive : bool
        Whether to clone the layers of models inside in the same way.

    Raises
    ------
    ValueError
        For a subclassed model with any of these arguments; for `call_function` with a Sequential;
        for `input_tensors` of another structure than the model's inputs.

    >>> import tinynet as tn
    >>> model = tn.Sequential([tn.Input((2,)), tn.layers.Dense(1)])
    >>> clone_model(model).get_weights()[0].shape
    (2, 1)
    """
    functional, has_layers = isinstance(model, Functional), isinstance(model, GraphModel)
    given = input_tensors is not None or clone_function is not None
    fits = (has_layers or not given) and (functional or call_function is None)
    wanted = "a functional model, or without `call_function` a Sequential one"
    expect(fits, "clone_model with functions or tensors", wanted, type(model))

    def copied(layer: Any) -> Any:
        if recursive and isinstance(layer, GraphModel):
            call = call_function if isinstance(layer, Functional) else None
            return clone_model(layer, None, clone_function, call, True)
        return clone_function(layer) if clone_function else _copied(layer)

    if functional:
        if input_tensors is not None:
            tree.parts_like(model.input, input_tensors, "input_tensors")
        copies = {layer: copied(layer) for layer in model._graph.layers_to_copy()}

        def call(layer: Layer, *args: Any, **options: Any) -> Any:
            new = copies[layer]
            return call_function(new, *args, **options) if call_function else new(*args, **options)

        clone: Any = type(model)(*model._graph.replay(call, input_tensors), name=model.name)
    elif has_layers:
        start = model._layers[:1] if model._input_layer else []
        start = [*map(_copied, start)] if input_tensors is None else tree.flatten(input_tensors)
        clone = Sequential([*start, *map(copied, model.layers)], name=model.name)
    else:
        clone = _copied(model)
    if model.compiled:
        _by_config(model.get_compile_config, clone.compile_from_config)
    return clone


def _copied(layer: Any) -> Any:
    """Return a new layer or model with the same config."""
    return _by_config(lambda: serialize_keras_object(layer.get_config()), type(layer).from_config)


def _by_config(write: Callable[[], Any], read: Callable[[Any], Any]) -> Any:
    """Return what `read` makes of a config, which may name the user's own objects."""
    known: dict[str, Any] = {}
    with noting_custom_objects(known):
        config = write()
    with CustomObjectScope(known):
        return read(config)
