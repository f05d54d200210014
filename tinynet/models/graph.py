"""A graph of layer calls: run on tensors, described by a config, and called again by other layers.

Imports `layers`. Read next: `model.py`, a model of a graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

from .. import ops, tree
from ..configs.serialization import deserialize_part, location, serialize_keras_object
from ..configs.watched import Watched
from ..engine.expect import expect, warn
from ..engine.tensor import Tensor, floatx
from ..layers.base import Layer
from ..layers.core import Input, InputLayer
from ..layers.symbolic import KerasTensor, LayerCall
from ..training.objective import unlisted
from ..training.trainer import Trainer

UNLIKE = "The structure of `inputs` doesn't match the expected structure"


class Graph(Watched):
    """The layer calls between input and output placeholders.

    Parameters
    ----------
    inputs, outputs : KerasTensor, or a list or dict of them
    name : str
        The name of the model, for messages.

    Attributes
    ----------
    calls : list of LayerCall
        Each after the calls whose outputs it needs; without those of input layers.
    calls_of : dict from a layer to its calls, in the order in which they were made
    operations : list of Layer, in Keras's order: those farthest from an output first
    layers : list of Layer, the same without functions of `ops`
    input, output : the placeholders in the structure they were passed in
    inputs, outputs : list of the same placeholders
    input_shape, output_shape : the shape of the only one, or a list of shapes
    output_names : list of str, the layers that compute the outputs

    Raises
    ------
    ValueError
        For anything but placeholders, outputs that are not connected to the inputs, or two layers
        with the same name.
    """

    _unwatched = frozenset(("calls", "calls_of", "input", "output", "inputs", "outputs"))
    is_declared = True  # whether users gave the inputs' shape; else the first samples did

    def __init__(self, inputs: Any, outputs: Any, name: str) -> None:
        starts, ends = _placeholders("inputs", inputs), _placeholders("outputs", outputs)
        calls, reached = _sorted_calls(starts, outputs)
        # This comes first, and in this order, so that copying a deep graph does not recurse deeply.
        self.calls = [call for call in calls if not isinstance(call.layer, InputLayer)]
        self.input, self.output, self.inputs, self.outputs = inputs, outputs, starts, ends
        self.input_shape = unlisted([x.shape for x in starts])
        self.output_shape = unlisted([x.shape for x in ends])
        self.output_names = [x.call.layer.name for x in ends]
        self.name = name
        _, depth = _depths(calls)
        entrances = dict.fromkeys(x.call.layer for x in starts)
        unused = [x for x in entrances if isinstance(x, InputLayer) and x not in depth]
        # A graph that begins at the output of a layer has an input layer there, as in Keras.
        self.entrances = {
            x: InputLayer(batch_shape=x.shape, dtype=x.dtype, name=f"{x.name}CLONE")
            for x in starts
            if not isinstance(x.call.layer, InputLayer)
        }
        within = sorted([*unused, *reached], key=lambda layer: -depth.get(layer, 0))
        self.operations = [*self.entrances.values(), *within]
        self.layers = [x for x in self.operations if not hasattr(type(x), "ops_name")]
        for name, count in Counter(layer.name for layer in self.operations).items():
            if count > 1:
                raise ValueError(f'The name "{name}" is used {count} times: it must be unique.')
        self.calls_of: dict[Layer, list[LayerCall]] = {x: [] for x in self.operations}
        for call in sorted(self.calls, key=lambda call: call.number):
            self.calls_of[call.layer].append(call)

    # -- what is known without running ------------------------------------------------------------

    @property
    def is_line(self) -> bool:
        """Whether each layer is called once, only on the output of the layer before it."""
        sources = [[x.call for x in call.inputs] for call in self.calls]
        once = len({call.layer for call in self.calls}) == len(self.calls)
        line = [[call] for call in (self.inputs[0].call, *self.calls)]
        return len(self.inputs) == 1 and once and sources == line[:-1]

    def layers_to_copy(self) -> list[Layer]:
        """Return the layers in the order in which Keras makes them when it copies a graph."""
        depth, _ = _depths(self.calls)
        last_first = sorted(self.calls, key=depth.__getitem__)[::-1]
        return list(dict.fromkeys(call.layer for call in last_first))

    # -- running ----------------------------------------------------------------------------------

    def __call__(self, inputs: Any) -> Any:
        """Return the outputs for tensors; a single output without a list around it."""
        return unlisted(self._run(self.matched(inputs)))

    def replay(self, call_layer: Callable[..., Any], inputs: Any = None) -> tuple[Any, Any]:
        """Return inputs and outputs of the same graph with other calls.

        Parameters
        ----------
        call_layer : function ``(layer, *args, **options)`` to outputs
            Called instead of each layer, with the arguments of its call.
        inputs : placeholders, optional
            By default new ones.
        """

        @cache  # one for an input that is given twice
        def entrance(x: KerasTensor) -> KerasTensor:
            return Input(batch_shape=x.shape, dtype=x.dtype, name=x.call.layer.name)

        inputs = tree.map_structure(entrance, self.input) if inputs is None else inputs
        return inputs, self._run(tree.flatten(inputs), call_layer)

    def _run(self, inputs: list[Any], call_layer: Callable[..., Any] | None = None) -> Any:
        values = dict(zip(self.inputs, inputs, strict=True))

        def known(x: Any) -> Any:
            return values[x] if isinstance(x, KerasTensor) else x

        for call in self.calls:
            args, options, outputs = call.args, call.options, call.outputs
            if len(args) == 1 and type(args[0]) is KerasTensor and not options:
                given = (values[args[0]],)
            else:
                given, options = tree.map_structure(known, (args, options))
            layer = partial(call_layer, call.layer) if call_layer else call.layer
            y = layer(*given, **options)
            if type(y) is Tensor and len(outputs) == 1:
                values[outputs[0]] = y
            else:
                values.update(zip(outputs, tree.flatten(y), strict=True))
        return tree.map_structure(values.__getitem__, self.output)

    def matched(self, inputs: Any) -> list[Any]:
        """Return the inputs as a list, in the declared dtypes and ranks: (n,) becomes (n, 1).

        Raises
        ------
        ValueError
            For another number of inputs, missing names, other shapes, None for an input that is not
            optional, and a list where a dict with unsorted keys is declared: its order is unclear.
        """
        named = isinstance(self.input, dict)
        names = sorted(self.input) if named else [x.call.layer.name for x in self.inputs]
        if isinstance(inputs, dict):
            if missing := [name for name in names if name not in inputs]:
                problem = f"of {names}, received {list(inputs)}"
                raise ValueError(f'Missing input "{missing[0]}" {problem}.')
            if named and (extra := inputs.keys() - {*names}):
                found = f"model '{self.name}' has no inputs {sorted(extra)}, ignored"
                warn(f"{UNLIKE}: {found}.")
            inputs = [inputs[name] for name in names]
        elif named and [*self.input] != names:
            raise ValueError(f"{UNLIKE}: expected a dict with the keys {names}, received a list.")
        flat = tree.flatten(inputs)
        if len(flat) != len(self.inputs):
            raise ValueError(f"Model '{self.name}' expected inputs {names}, received {len(flat)}.")
        return [self._fitting(x, declared) for x, declared in zip(flat, self.inputs, strict=True)]

    def _fitting(self, x: Any, declared: KerasTensor) -> Any:
        """Return an input with the dtype and the rank that were declared."""
        layer, shape = declared.call.layer, declared.shape
        if x is None:
            where, optional = f"Input '{layer.name}'", getattr(layer, "optional", False)
            expect(optional, f"{where} of model '{self.name}' is not optional", "an array", x)
            return None
        given = x.shape
        if x.ndim == declared.ndim + 1 and given[-1] == 1:
            x = ops.squeeze(x, -1)
        elif x.ndim == declared.ndim - 1 and shape[-1] == 1:
            x = ops.expand_dims(x, -1)
        lengths = zip(shape[1:], x.shape[1:], strict=False)
        fits = not self.is_declared or all(n in (None, m) for n, m in lengths)
        if x.ndim != len(shape) or not fits:
            problem = f"expected {shape=}, found incompatible shape={given}"
            raise ValueError(f"Input '{layer.name}' of model '{self.name}': {problem}.")
        same = x.dtype.kind == "f" and declared.dtype == floatx()
        return x if same else ops.cast(x, declared.dtype)

    # -- configs ----------------------------------------------------------------------------------

    def config(self, functional: type) -> dict[str, Any]:
        """Return Keras's description of a graph: its layers with their calls, inputs and outputs.

        A tensor is ``[name of its layer, number of the call, index among the call's outputs]``,
        where the calls of a layer are numbered in the order in which they were made. Where Keras
        names the graph's inputs and outputs, it counts calls of `functional` models from 1.
        """
        numbers = {call: i for own in self.calls_of.values() for i, call in enumerate(own)}

        def history(x: KerasTensor, first: int = 0) -> list[Any]:
            if x in self.entrances:
                return [self.entrances[x].name, 0, 0]
            number = numbers.get(x.call, 0) + first
            return [x.call.layer.name, number, x.call.outputs.index(x)]

        def end(x: KerasTensor) -> list[Any]:
            return history(x, int(isinstance(x.call.layer, functional)))

        def described(layer: Layer) -> dict[str, Any]:
            calls = [_call_config(call, history) for call in self.calls_of.get(layer, ())]
            return serialize_keras_object(layer) | {"name": layer.name, "inbound_nodes": calls}

        return {
            "layers": [*map(described, self.operations)],
            "input_layers": tree.map_structure(end, self.input),
            "output_layers": tree.map_structure(end, self.output),
        }


def _placeholders(argument: str, value: Any) -> list[KerasTensor]:
    """Return a model's inputs or outputs as a list; ValueError unless they are placeholders."""
    flat = tree.flatten(value)
    wrong = [x for x in flat if not isinstance(x, KerasTensor) or x.call is None]
    found = wrong[0] if wrong else value
    expect(flat and not wrong, argument, "KerasTensors, one or more", found)
    return flat


# -- the order of calls ----------------------------------------------------------------------------


def _sorted_calls(inputs: list[KerasTensor], outputs: Any) -> tuple[list[LayerCall], list[Layer]]:
    """Return the calls between inputs and outputs, each after those that it needs, and the layers.

    The layers are in the order in which a depth-first search from the outputs reaches them.
    """
    order: dict[LayerCall, None] = {}
    reached: dict[Layer, None] = {}
    for path, output in tree.parts_like(outputs, outputs, "outputs"):
        pending = [(output, False)]
        while pending:
            x, finished = pending.pop()
            call = x.call
            starts = call is None or isinstance(call.layer, InputLayer)
            if call in order or (x in inputs and not starts):
                continue
            if starts and x not in inputs:
                source = x.name if call is None else call.layer.name
                raise ValueError(f"{path} is not connected to the inputs: it needs '{source}'.")
            reached[call.layer] = None
            if finished or starts:
                order[call] = None
            else:
                pending.append((x, True))
                pending.extend((y, False) for y in reversed(call.inputs))
    return list(order), list(reached)


def _depths(calls: list[LayerCall]) -> tuple[dict[LayerCall, int], dict[Layer, int]]:
    """Return the largest number of calls from each call, and from each layer, to an output."""
    of_call: dict[LayerCall, int] = {}
    of_layer: dict[Layer, int] = {}
    for call in reversed(calls):
        depth = max(of_call.get(call, 0), of_layer.get(call.layer, 0))
        of_call[call] = of_layer[call.layer] = depth
        for x in call.inputs:
            of_call[x.call] = max(of_call.get(x.call, 0), depth + 1)
    return of_call, of_layer


# -- from configs ----------------------------------------------------------------------------------

CallId = tuple[str, int]  # the name of a layer, and which of its calls


def _call_config(call: LayerCall, history: Callable[[KerasTensor], list[Any]]) -> dict[str, Any]:
    """Return what Keras writes of a call: its arguments."""

    def part(x: Any) -> Any:
        if not isinstance(x, KerasTensor):
            return serialize_keras_object(x)
        config = {"shape": x.shape, "dtype": x.dtype, "keras_history": history(x)}
        return {"class_name": "__keras_tensor__", "config": config}

    args, options = tree.map_structure(part, (call.args, call.options))
    if isinstance(call.layer, Trainer):  # Keras's models have an argument that ours do not have
        options["mask"] = tree.map_structure(lambda x: None, call.args[0])
    return {"args": args, "kwargs": options}


def from_config(config: dict[str, Any], functional: type) -> tuple[Any, Any]:
    """Return inputs and outputs of the graph that `Graph.config` described, of new layers.

    Raises
    ------
    ValueError
        For calls that need each other's outputs, or a tensor that is no output of any call.
    """
    layers = _layers_from(config["layers"])
    calls: dict[CallId, dict[str, Any]] = {
        (data["name"], i): call
        for data in config["layers"]
        for i, call in enumerate(data["inbound_nodes"])
    }
    starts = {name: layer for name, layer in layers.items() if isinstance(layer, InputLayer)}
    made: dict[CallId, list[KerasTensor]] = {(name, 0): [x.output] for name, x in starts.items()}

    def tensor(history: Any, first: int = 0) -> KerasTensor:
        name, number, output = history
        if (name, number - first) not in made:
            raise ValueError(f"There is no call {number} of a layer {name!r}{location()}.")
        return made[name, number - first][output]

    class Placeholder:
        from_config = staticmethod(lambda config: tensor(config["keras_history"]))

    def end(history: Any) -> KerasTensor:
        return tensor(history, int(isinstance(layers.get(history[0]), functional)))

    for key in _in_order(calls):
        options = {k: v for k, v in calls[key]["kwargs"].items() if not _is_default(k, v)}
        given = [calls[key]["args"], options]
        args, kwargs = deserialize_part(given, {"__keras_tensor__": Placeholder})
        made[key] = tree.flatten(layers[key[0]](*args, **kwargs))
    return _mapped(end, _is_history, (config["input_layers"], config["output_layers"]))


def _layers_from(configs: list[dict[str, Any]]) -> dict[str, Layer]:
    """Return new layers by name."""
    layers: dict[str, Layer] = {}
    for data in configs:
        name, layer = data["name"], deserialize_part(data, {})
        expect(name not in layers, f"Layers{location()}", "unique names", name)
        expect(isinstance(layer, Layer), f"{name!r}{location()}", "a layer", layer)
        layers[name] = layer
    return layers


def _in_order(calls: dict[CallId, dict[str, Any]]) -> Iterable[CallId]:
    """Return the calls, each after those whose outputs it needs and earlier ones of its layer."""
    from graphlib import CycleError, TopologicalSorter  # which only files need

    needed: dict[CallId, set[CallId]] = {}
    for (name, number), call in calls.items():
        sources: list[Any] = []
        _mapped(sources.append, _is_tensor, [call["args"], call["kwargs"]])
        earlier = {(name, number - 1)} if number else set()
        histories = [x["config"]["keras_history"] for x in sources]
        needed[name, number] = {(source, i) for source, i, _ in histories} | earlier
    try:
        return [key for key in TopologicalSorter(needed).static_order() if key in calls]
    except CycleError as error:
        problem = f"Layers need each other's outputs{location()}: {error.args[1]}."
        raise ValueError(problem) from None


def _is_default(name: str, value: Any) -> bool:
    """Return whether an argument is what Keras writes of one that was not given.

    For `training` that is False, its value when the graph was made; each run decides it anew.
    """
    if isinstance(value, list):
        return all(_is_default(name, part) for part in value)
    return value is None or (name == "training" and value is False)


def _is_tensor(config: Any) -> bool:
    return isinstance(config, dict) and config.get("class_name") == "__keras_tensor__"


def _is_history(config: Any) -> bool:
    """Return whether this is ``[name of a layer, number of the call, index]``."""
    return isinstance(config, list) and len(config) == 3 and isinstance(config[0], str)


def _mapped(f: Callable[[Any], Any], is_leaf: Callable[[Any], bool], config: Any) -> Any:
    """Return plain data with `f` applied to each leaf in its lists and dicts."""
    if is_leaf(config):
        return f(config)
    if isinstance(config, dict):
        return {key: _mapped(f, is_leaf, part) for key, part in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_mapped(f, is_leaf, part) for part in config)
    return config
