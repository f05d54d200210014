"""Graphs of layer calls: their order, what Keras writes of them, and how they are made again.

Imports `layers`. Read next: `models/functional.py`, which runs them.
"""

from __future__ import annotations

from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from typing import Any

from .. import tree
from ..configs.serialization import deserialize_keras_object, location, serialize_keras_object
from ..layers.base import Layer
from ..layers.core import Input, InputLayer
from ..layers.symbolic import KerasTensor, Node


def sorted_nodes(
    inputs: list[KerasTensor], outputs: list[KerasTensor]
) -> tuple[list[Node], list[Layer]]:
    """Return the calls that lead from inputs to outputs, each after those that it needs.

    And their layers in the order in which a walk from the outputs, depth first, meets them.
    """
    order: list[Node] = []
    met: dict[Layer, None] = {}
    done: set[int] = set()
    pending = [(x, False) for x in reversed(outputs)]
    while pending:
        x, finished = pending.pop()
        node = x.node
        entrance = isinstance(node.layer, InputLayer)
        if id(node) in done or (x in inputs and not entrance):
            continue
        if entrance and x not in inputs:
            raise ValueError(
                f"Output is not connected to `inputs`: it needs {x!r} of layer "
                f"'{node.layer.name}', which is not among them."
            )
        met[node.layer] = None
        if finished or entrance:
            done.add(id(node))
            order.append(node)
        else:
            pending.append((x, True))
            pending.extend((y, False) for y in reversed(tree.flatten(node.inputs)))
    return order, list(met)


def by_depth(nodes: list[Node], met: list[Layer], inputs: list[KerasTensor]) -> list[Layer]:
    """Return the layers as Keras lists them: those with the longest way to an output first."""
    _, of_layer = _depths(nodes)
    unused = [x.node.layer for x in inputs if x.node.layer not in of_layer]
    unused = [layer for layer in unused if isinstance(layer, InputLayer)]
    return sorted([*unused, *met], key=lambda layer: -of_layer.get(layer, 0))


def as_copied(nodes: list[Node]) -> list[Layer]:
    """Return the layers in the order in which Keras makes them when it copies a graph."""
    of_node, _ = _depths(nodes)
    last_first = nodes[::-1]
    last_first.sort(key=lambda node: -of_node[id(node)])  # which keeps this order at each depth
    return list(dict.fromkeys(node.layer for node in last_first))


def _depths(nodes: list[Node]) -> tuple[dict[int, int], dict[Layer, int]]:
    """Return how many calls there are at most from each call, and layer, to an output."""
    of_node: dict[int, int] = {}
    of_layer: dict[Layer, int] = {}
    for node in reversed(nodes):
        depth = max(of_node.get(id(node), 0), of_layer.get(node.layer, 0))
        of_node[id(node)] = of_layer[node.layer] = depth
        for x in tree.flatten(node.inputs):
            of_node[id(x.node)] = max(of_node.get(id(x.node), 0), depth + 1)
    return of_node, of_layer


# -- configs ---------------------------------------------------------------------------------------


def to_config(
    nodes: list[Node], layers: list[Layer], inputs: Any, outputs: Any, models: tuple[type, ...]
) -> dict[str, Any]:
    """Return what Keras writes of a graph: its layers, each with its calls, inputs and outputs.

    A tensor is ``[name of its layer, number of the call, place among the call's outputs]``. Calls
    are numbered in the order in which they were made. For layers of `models`, which are functional
    models themselves, Keras counts from 1 where it names the graph's outputs.
    """
    calls: dict[str, list[Node]] = {layer.name: [] for layer in layers}
    for node in sorted(nodes, key=lambda node: node.outputs[0].number):
        calls[node.layer.name].append(node)
    numbers = {id(node): i for own in calls.values() for i, node in enumerate(own)}
    within = [x for x in tree.flatten(inputs) if not isinstance(x.node.layer, InputLayer)]
    entrances = {
        id(x): InputLayer(batch_shape=x.shape, dtype=x.dtype, name=f"{x.name}CLONE") for x in within
    }

    def history(x: KerasTensor, first: int = 0) -> list[Any]:
        if id(x) in entrances:
            return [entrances[id(x)].name, 0, 0]
        output = next(i for i, y in enumerate(x.node.outputs) if y is x)
        return [x.node.layer.name, numbers.get(id(x.node), 0) + first, output]

    def tensor(x: KerasTensor) -> dict[str, Any]:
        config = {"shape": x.shape, "dtype": x.dtype, "keras_history": history(x)}
        return {"class_name": "__keras_tensor__", "config": config}

    def call(node: Node) -> dict[str, Any]:
        options = serialize_keras_object(node.options)
        if hasattr(node.layer, "summary"):  # models have an argument that we do not have
            options["mask"] = tree.map_structure(lambda x: None, node.inputs)
        return {"args": (tree.map_structure(tensor, node.inputs),), "kwargs": options}

    def triple(x: KerasTensor) -> list[Any]:
        return history(x, int(isinstance(x.node.layer, models)))

    return {
        "layers": [
            serialize_keras_object(layer)
            | {"name": layer.name, "inbound_nodes": [*map(call, calls.get(layer.name, ()))]}
            for layer in (*entrances.values(), *layers)
        ],
        "input_layers": tree.map_structure(triple, inputs),
        "output_layers": tree.map_structure(triple, outputs),
    }


def from_config(config: dict[str, Any], models: tuple[type, ...]) -> tuple[Any, Any]:
    """Return inputs and outputs of the graph that `to_config` described, of new layers.

    Raises
    ------
    ValueError
        For calls that need each other, or a tensor that no call gives.
    """
    layers: dict[str, Layer] = {}
    calls: dict[tuple[str, int], dict[str, Any]] = {}
    needed: dict[tuple[str, int], set[tuple[str, int]]] = {}
    made: dict[tuple[str, int], list[KerasTensor]] = {}
    for data in config["layers"]:
        name = data["name"]
        if name in layers:
            raise ValueError(f"Two layers are called {name!r}{location()}.")
        layers[name] = layer = deserialize_keras_object(data)
        if isinstance(layer, InputLayer):
            made[name, 0] = [layer.output]
        elif not isinstance(layer, Layer):
            raise ValueError(f"{name!r}{location()} is no layer, but {layer!r}.")
        for number, call in enumerate(data["inbound_nodes"]):
            before = {(name, number - 1)} if number else set()
            calls[name, number] = call
            needed[name, number] = before | {(x[0], x[1]) for x in _histories(call)}
    try:
        order = list(TopologicalSorter(needed).static_order())
    except CycleError as error:
        raise ValueError(
            f"Layers need each other's outputs{location()}: {error.args[1]}."
        ) from None

    def tensor(history: Any, first: int = 0) -> KerasTensor:
        name, number, output = history
        if (name, number - first) not in made:
            raise ValueError(f"There is no call {number} of a layer {name!r}{location()}.")
        return made[name, number - first][output]

    def triple(history: Any) -> KerasTensor:
        return tensor(history, int(isinstance(layers.get(history[0]), models)))

    for key in order:
        if key in calls:
            args, options = _replaced(calls[key]["args"], tensor), calls[key]["kwargs"]
            kept = {k: v for k, v in options.items() if not _is_default(k, v)}
            outputs = layers[key[0]](*args, **_replaced(kept, tensor))
            made[key] = tree.flatten(outputs)
    found = (_mapped(triple, config[key]) for key in ("input_layers", "output_layers"))
    return tuple(found)


def _is_default(name: str, value: Any) -> bool:
    """Return whether an argument is what Keras writes of one that was not given.

    Of `training` that is False: what it was when the graph was made. The model decides in each run.
    """
    if isinstance(value, list):
        return all(_is_default(name, part) for part in value)
    return value is None or (name == "training" and value is False)


def _is_tensor(config: Any) -> bool:
    return isinstance(config, dict) and config.get("class_name") == "__keras_tensor__"


def _histories(config: Any) -> list[Any]:
    """Return the histories of all tensors in the arguments of a call."""
    if _is_tensor(config):
        return [config["config"]["keras_history"]]
    if isinstance(config, (list, tuple, dict)):
        parts = config.values() if isinstance(config, dict) else config
        return [history for part in parts for history in _histories(part)]
    return []


def _replaced(config: Any, tensor: Callable[[Any], Any]) -> Any:
    """Return the arguments of a call, with tensors for their histories."""
    if _is_tensor(config):
        return tensor(config["config"]["keras_history"])
    if isinstance(config, (list, tuple)):
        return [_replaced(part, tensor) for part in config]
    if isinstance(config, dict) and "class_name" not in config:
        return {key: _replaced(part, tensor) for key, part in config.items()}
    return deserialize_keras_object(config)


def _mapped(f: Callable[[Any], Any], histories: Any) -> Any:
    """Return a structure of histories with `f` applied to each: ``[name, number, place]``."""
    if isinstance(histories, dict):
        return {key: _mapped(f, part) for key, part in histories.items()}
    if len(histories) == 3 and isinstance(histories[0], str):
        return f(histories)
    return [_mapped(f, part) for part in histories]


# -- copies ----------------------------------------------------------------------------------------


def again(
    nodes: list[Node],
    inputs: Any,
    outputs: Any,
    copies: dict[Layer, Layer],
    new_inputs: Any = None,
    call: Callable[..., Any] | None = None,
) -> tuple[Any, Any]:
    """Return inputs and outputs of the same graph, made by the same calls of other layers.

    `new_inputs` are placeholders instead of new ones; `call` calls a layer in its own way.
    """
    if new_inputs is None:
        new_inputs = tree.map_structure(
            lambda x: Input(batch_shape=x.shape, dtype=x.dtype, name=x.node.layer.name), inputs
        )
    new = dict(zip(tree.flatten(inputs), tree.flatten(new_inputs), strict=True))
    for node in nodes:
        args = tree.map_structure(new.__getitem__, node.inputs)
        layer = copies[node.layer]
        found = call(layer, args, **node.options) if call else layer(args, **node.options)
        new.update(zip(node.outputs, tree.flatten(found), strict=True))
    return new_inputs, tree.map_structure(new.__getitem__, outputs)
