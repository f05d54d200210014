"""The base of optimizers: how gradients change weights.

An optimizer is a pure function, `update`, from parameters, gradients and slots (the state of
each parameter, such as its momentum) to new parameters and slots. Numbers that depend on the step
alone (the learning rate, bias corrections) are computed in Python's floats, rounded to float32
where Keras rounds, and passed in as `scalars`. `apply` runs the function on all variables of a
dtype together.

Imports the engine and `configs/`. Read next: `sgd.py`, then `adam.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .. import ops
from ..configs.configurable import Configurable, refuse_unknown, taking
from ..configs.lookup import automatic_name
from ..configs.serialization import Config, deserialize_keras_object, serialize_keras_object
from ..configs.watched import all_or_nothing
from ..engine.bind import modes, no_grad
from ..engine.expect import check_number, expect, is_integer, is_number, is_real, warn
from ..engine.tensor import Tensor, wrap
from ..engine.variable import Variable, all_or_none, assign_all, paired
from .groups import Flats, Grads, ParameterGroup, Scalars, Slots, Slotted, Updated, stepped

CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")


def float32(x: float) -> float:
    """Return `x` rounded to float32, as Keras keeps its scalars, as a Python float."""
    return float(np.float32(x))


class Optimizer(Slotted):
    """Base of optimizers: subclass it with `slots` and `update`.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule, or function of no arguments that returns a float
    weight_decay : float, optional
        Before each update, ``weight_decay * learning_rate * w`` is subtracted from each weight w.
    clipnorm, clipvalue, global_clipnorm : float, optional; at most one of them
        The largest norm of each gradient; the largest absolute value of gradients' elements; the
        largest norm of all gradients together.
    use_ema : bool
        Keep a moving average of each weight (``a = ema_momentum * a + (1 - ema_momentum) * w``),
        which replaces the weight every `ema_overwrite_frequency` steps, and at the end of `fit`.
    gradient_accumulation_steps : int, optional
        At least 2: weights change only once in this many steps, by the mean of the gradients since
        the last change. A learning-rate schedule counts all steps.
    name : str, optional

    Raises
    ------
    ValueError
        For values out of range, several clipping options, unknown keywords, and Keras's options
        that tinynet does not support (loss scaling).

    Attributes
    ----------
    iterations : Variable
        The number of steps so far; with `gradient_accumulation_steps` that of updates, a tensor.
    learning_rate : Variable, or the current value of a schedule or function
        Assign a number to change it, or a schedule or function to replace it.
    """

    _config_first = (
        *("name", "learning_rate", "weight_decay", "clipnorm", "global_clipnorm", "clipvalue"),
        *("use_ema", "ema_momentum", "ema_overwrite_frequency"),
        *("loss_scale_factor", "gradient_accumulation_steps"),
    )
    loss_scale_factor = None

    scalars_at: Any = None  # `scalars` of a range of steps, as arrays; None: one step at a time

    _unwatched = frozenset({"_iterations", "learning_rate", "_rate", "built", "_slots", "groups"})

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        options = locals()
        if kwargs.pop("decay", None):
            warn("decay is ignored, as in Keras 3. Pass a schedule as learning_rate.")
        kwargs |= {"loss_scale_factor": loss_scale_factor} if loss_scale_factor else {}
        refuse_unknown(self, kwargs)
        clips = {key: options[key] for key in CLIPS if options[key] is not None}
        expect(len(clips) < 2, "clipping", f"at most one of {', '.join(CLIPS)}", clips)
        for key in (*CLIPS, "weight_decay"):
            if options[key] is not None:
                check_number(key, options[key])
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.weight_decay = weight_decay
        every, steps = ema_overwrite_frequency, gradient_accumulation_steps
        check_number("ema_momentum", ema_momentum, 1)
        valid = every is None or (is_integer(every) and every > 0)
        expect(valid, "ema_overwrite_frequency", "a positive int or None", every)
        self.use_ema, self.ema_momentum, self.ema_overwrite_frequency = use_ema, ema_momentum, every
        valid = not steps or (is_integer(steps) and steps > 1)
        expect(valid, "gradient_accumulation_steps", "an integer of at least 2, or None", steps)
        self.gradient_accumulation_steps = steps or None
        self.name = name or automatic_name(self)
        self._iterations = self._state(np.array(0, "int32"), "iteration")
        self._rate: Any = None
        self.learning_rate = learning_rate
        self._undecayed: tuple[frozenset[Variable], tuple[str, ...]] = (frozenset(), ())
        self.built = False  # whether the slots are there
        self._slots = {}
        self.groups = []

    # -- what subclasses define ---------------------------------------------------------------

    def scalars(self, step: int, learning_rate: float) -> dict[str, float]:
        """Return the numbers that `update` needs at `step` (1, 2, ...), by name."""
        return {"learning_rate": learning_rate}

    def update(self, param: Tensor, grad: Tensor, slots: Slots, scalars: Scalars) -> Updated:
        """Return the new parameter and slots: elementwise operations of tensors, no state."""
        raise NotImplementedError(f"{type(self).__name__} must define update().")

    def corrections(self, step: int) -> dict[str, str]:
        """Return the formulas of the derived `scalars` by name, for explanations."""
        return {}

    # -- one step -----------------------------------------------------------------------------

    def stepped(
        self, param: Tensor, grad: Tensor, slots: Slots, scalars: Scalars, decays: bool
    ) -> Updated:
        """Return the parameter, which may decay first, and the slots after a step."""
        if decays:
            param = param - param * self.weight_decay * scalars["learning_rate"]
        param, new = self.update(param, grad, slots, scalars)
        return param, slots | new

    def clip(self, grads: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the gradients, clipped according to the options."""
        if self.clipvalue:  # 0 is off, as in Keras
            return [ops.clip(g, -self.clipvalue, self.clipvalue) for g in grads]
        if self.clipnorm:
            return [g * self.clipnorm / ops.maximum(_norm([g]), self.clipnorm) for g in grads]
        if self.global_clipnorm:
            scale = self.global_clipnorm * (1.0 / ops.maximum(_norm(grads), self.global_clipnorm))
            return [g * scale for g in grads]
        return grads

    def apply(self, grads: Iterable[Any], trainable_variables: Any = None) -> Variable:
        """Change variables by one step along their gradients; return `iterations`.

        Parameters
        ----------
        grads : sequence of arrays or tensors
            One per variable. None leaves the variable as it is, with a warning.
        trainable_variables : sequence of Variable, optional
            The first call fixes which these are; later calls may leave them out.

        Raises
        ------
        ValueError
            When the number of gradients or a shape does not match, a variable was not in the first
            call or is given twice, or all gradients are None. Then nothing is changed.

        >>> import tinynet as tn
        >>> w = tn.Variable([1.0, 2.0])
        >>> loss = (w * w).sum()
        >>> loss.backward()
        >>> steps = tn.optimizers.SGD(learning_rate=0.25).apply([w.grad], [w])
        >>> w.numpy(), int(steps)
        (array([0.5, 1. ], dtype=float32), 1)
        """
        recorded = getattr(modes.recorder, "applied", {}).get(self)
        if recorded is None:
            self._iterations.refuse_if_recorded("apply")
        variables = list(self._slots if trainable_variables is None else trainable_variables)
        found = self._gradients(list(grads), variables)
        if variables:
            self.build(variables)
            (recorded or self._take_step)(found)
        return self._iterations

    def _take_step(self, grads: Grads) -> None:
        grads = {v: wrap(g._numbers("apply (see stateless_apply)")) for v, g in grads.items()}
        with no_grad():
            state = [[wrap(array) for array in arrays] for arrays in self.read()]
            self.write(self.updated(state, grads, [self.next_scalars()] * len(state)))

    def stateless_apply(
        self, optimizer_variables: Any, grads: Any, trainable_variables: Any
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return new values of the trained variables and of `variables`, as a pure function.

        See `layers.Layer.stateless_call` for a training loop. Under `jit`, a schedule or function
        that is the learning rate still runs at every call.

        Parameters
        ----------
        optimizer_variables, trainable_variables : lists of arrays or tensors
            Values for `variables`, and for the variables that the optimizer was built for.
        grads : list of arrays or tensors
            One per trained variable; None leaves the variable as it is, with a warning.

        Raises
        ------
        ValueError
            Before `build`, and for another number of values or other shapes.

        >>> import tinynet as tn
        >>> sgd, w = tn.optimizers.SGD(learning_rate=0.25), tn.Variable([1.0, 2.0])
        >>> sgd.build([w])
        >>> sgd.stateless_apply(sgd.variables, [[2.0, 4.0]], [w.numpy()])[0]
        [tensor([0.5, 1. ], dtype=float32)]
        """
        expect(self.built, "stateless_apply", "an optimizer after build(trainable_variables)", self)
        own, trained = self.variables, list(self._slots)
        values = paired("optimizer_variables", own, optimizer_variables)
        values |= paired("trainable_variables", trained, trainable_variables)
        if found := self._gradients(list(grads), trained):
            values |= stepped(self, values, found)
        return [values[v] for v in trained], [values[v] for v in own]

    def updated(self, state: Flats, grads: Grads, scalars: Sequence[Scalars]) -> list[list[Tensor]]:
        """Return the new state of all parameters as a pure function: one step, with clipping.

        `state` has for each of `groups` its flat parameters and slots, `scalars` the numbers of
        the step (see `scalars`) for each group.
        """
        if self.gradient_accumulation_steps:
            state, grads = self.accumulated(state, grads)
        clipped = dict(zip(grads, self.clip(list(grads.values())), strict=True))
        rows = zip(self.groups, state, scalars, strict=True)
        return [group.updated(self, flat, clipped, numbers) for group, flat, numbers in rows]

    def read(self) -> list[list[np.ndarray]]:
        """Return the flat parameters and slots of each group; `write` changes these arrays."""
        return [[memory.current() for memory in group.memories] for group in self.groups]

    def write(self, state: Flats) -> None:
        """Write the new state of all parameters, and count the step, or change nothing."""
        memories = [memory for group in self.groups for memory in group.memories]

        def change() -> None:
            for memory, flat in zip(memories, [t for group in state for t in group], strict=True):
                memory.write(flat.data)
            self.count_step()

        all_or_none([*memories, self._iterations], change)

    def count_step(self, steps: int = 1) -> None:
        """Count further steps."""
        count = self._iterations
        count.array[...] = count.array.item() + steps
        count.version += 1

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Variable:
        """Change variables by one step, given pairs of gradient and variable; see `apply`."""
        pairs = list(grads_and_vars)
        return self.apply([g for g, _ in pairs], [v for _, v in pairs])

    def _gradients(self, grads: list[Any], variables: list[Variable]) -> Grads:
        """Return the gradients by their variables, without those that are None."""
        count = len(variables)
        expect(len(grads) == count, "grads", f"one for each of {count} variables", len(grads))
        expect(len(set(variables)) == count, "apply", "each variable once", "one of them twice")
        rows = list(zip(grads, variables, strict=True))
        found = {v: v.converted(g, "grads") for g, v in rows if g is not None}
        if grads and not found:
            raise ValueError("No gradients provided for any variable.")
        if missing := [v.path for g, v in rows if g is None]:
            warn(f"Gradients do not exist for variables {missing}.")
        return found

    # -- state --------------------------------------------------------------------------------

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the slots of `variables` in the first call; later only check that they are known."""
        if self.built:
            if new := [v for v in variables if v not in self._slots]:
                rule = "variables: expected those that the optimizer was built for"
                unknown = f"Unknown variable: {new[0]}. Call compile with a new optimizer."
                raise ValueError(f"{rule}. {unknown}")
            return
        names = [slot for group in self.slot_groups for slot in group]
        with all_or_nothing(self):
            self._slots = {v: {name: self._slot(v, name) for name in names} for v in variables}
            for dtype in dict.fromkeys(v.dtype for v in self._slots):
                params = [v for v in self._slots if v.dtype == dtype]
                slots = {name: [self._slots[v][name] for v in params] for name in names}
                self.groups.append(ParameterGroup(params, slots))
            self.built = True

    @property
    def last_variables(self) -> Sequence[Variable]:
        """The variables that Keras saves after the slots; a step sets them to `product`."""
        return ()

    @property
    def variables(self) -> list[Variable]:
        """All state, in the order in which Keras saves it."""
        every = self._slots.values()
        slots = [own[name] for group in self.slot_groups for own in every for name in group]
        last = self.last_variables if self.built else ()
        return [self._iterations, *self.rate_variables, *slots, *last]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Give `variables` new values; ValueError before `build`, and for other shapes."""
        expect(self.built, "set_weights", "an optimizer after build(trainable_variables)", self)
        assign_all(paired("weights", self.variables, weights))

    @property
    def rate_variables(self) -> list[Variable]:
        """The learning rate, if it is a variable: not a schedule or function."""
        return [self._rate] if isinstance(self._rate, Variable) else []

    @property
    def learning_rate(self) -> Any:
        """The learning rate: a Variable, or the present value of a schedule or function."""
        return self._rate if self.rate_variables else self._rate_after(int(self._iterations))

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if callable(value) and not isinstance(value, (type, Variable)):
            self._rate = value
        elif isinstance(value, bool) or not (is_real(value) and is_number(float(value))):
            wanted = "a number, LearningRateSchedule or function without arguments"
            raise ValueError(f"learning_rate: expected {wanted}, received {value!r}.")
        elif isinstance(self._rate, Variable):
            self._rate.assign(float(value))
        else:
            wanted = "a schedule or function, as before (for a number, make a new optimizer)"
            expect(self._rate is None, "learning_rate", wanted, value, TypeError)
            self._rate = self._state(np.array(float(value), "float32"), "learning_rate")

    def _rate_after(self, steps: int) -> float:
        rate = self._rate
        if isinstance(rate, Variable):
            return rate.array.item()
        is_schedule = isinstance(rate, Configurable)  # `schedules.py` need not be loaded for it
        return float32(float(rate(steps) if is_schedule else rate()))

    def exclude_from_weight_decay(
        self, var_list: Sequence[Variable] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Exclude the listed variables, and those with a pattern in their name, from weight decay.

        Names, such as ``"bias"``, are those of the variables, without that of the layer.
        """
        self._undecayed = (frozenset(var_list or ()), tuple(var_names or ()))

    def decays(self, variable: Variable) -> bool:
        """Return whether weight decay concerns `variable`."""
        excluded, names = self._undecayed
        named = any(re.search(name, variable.name) for name in names)
        return bool(self.weight_decay) and not (named or variable in excluded)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name; a variable learning rate as it is now."""
        scheduled = isinstance(self._rate, Configurable)
        rate = serialize_keras_object(self._rate) if scheduled else float(self.learning_rate)
        return super().get_config() | {"learning_rate": rate}

    @classmethod
    def from_config(cls, config: Config, custom_objects: dict[str, Any] | None = None) -> Optimizer:
        """Return a new optimizer, made from what `get_config` returned.

        `custom_objects` are users' classes of schedules by their names.
        """
        rate = config.get("learning_rate")
        if isinstance(rate, dict):
            rate = {"module": "keras.optimizers.schedules", **rate}
            config = {**config, "learning_rate": deserialize_keras_object(rate, custom_objects)}
        return cls(**config)


def _norm(grads: Sequence[Tensor]) -> Tensor:
    first, *others = [ops.sum(ops.square(grad)) for grad in grads]
    return ops.sqrt(sum(others, first))


# Decorates a constructor that takes hyperparameters: it also takes the options of all optimizers.
taking_common = partial(taking, Optimizer, first="learning_rate", learning_rate=0.001)
