"""`Configurable`: objects whose config is what their constructor takes.

Imports `watched.py`, `../public.py`. Read next: `serialization.py`: configs as plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from functools import cache, cached_property, update_wrapper
from inspect import Parameter, Signature, signature
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, ClassVar

from ..engine.expect import expect, package_of
from ..engine.refusal import answering, outdated, wrong_argument
from ..public import advice_for, notebook_form
from .watched import Watched

_signature = cache(signature)
_PLAIN = (str, int, float, type(None))  # bool is an int


class Checked:
    """Base of objects whose constructor runs only if the arguments match its annotations.

    The annotations that are checked are those in `KINDS` of `engine/refusal.py`. Errors that the
    arguments of public methods cause are explained; see `answering`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if package_of(cls) != "tinynet":
            return
        for name, method in [*vars(cls).items()]:
            is_public = name[0] != "_" or name in ("__call__", "__init__")
            if is_public and isinstance(method, FunctionType):
                setattr(cls, name, answering(method))
            elif is_public and isinstance(method, classmethod):
                setattr(cls, name, classmethod(answering(method.__func__)))

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        init: Any = cls.__init__
        if package_of(init) == "tinynet":
            name, expected, value = wrong_argument(init, (cls, *args), kwargs) or ("", "", None)
            expect(not name, f"{cls.__name__}: {name}", expected, value)
            if kwargs and is_dataclass(cls):  # its constructor is not wrapped by `answering`
                known = _signature(init).parameters
                if text := outdated(cls.__name__, {k: kwargs[k] for k in kwargs.keys() - known}):
                    raise TypeError(text)
        return super().__new__(cls)

    if not TYPE_CHECKING:  # a type checker would let every name pass

        def __getattr__(self, name: str) -> Any:
            """Raise AttributeError; for an attribute of Keras 2 it names what replaces it."""
            for c in type(self).__mro__ if name[0] != "_" else ():
                if (advice := advice_for(f"{c.__name__}.{name}")) and not hasattr(type(self), name):
                    raise AttributeError(f"{type(self).__name__} has no {name!r}: {advice}")
            if name in ("name", "_own", "built") and package_of(type(self)) != "tinynet":
                raise AttributeError(f"{type(self).__name__} must call `super().__init__()` first.")
            return object.__getattribute__(self, name)  # raises a property's own error, if any


class Configurable(Checked, Watched):
    """Base of objects with `get_config` and `from_config`: layers, losses, initializers, ...

    The config holds the constructor's arguments, read from the attributes of the same names. A
    subclass whose attributes differ from its arguments overrides `get_config`. So does a user's
    subclass with arguments of its own: its config starts from `super().get_config()`, as in Keras.
    Compiled steps notice when an attribute is assigned (see `Watched`).

    >>> import tinynet as tn
    >>> tn.layers.LeakyReLU(0.1, name="leaky").get_config()["negative_slope"]
    0.1
    >>> tn.losses.Huber.from_config({"delta": 2.0}).get_config()
    {'name': 'huber_loss', 'reduction': 'sum_over_batch_size', 'delta': 2.0}
    """

    _config_first: ClassVar[tuple[str, ...]] = ()  # names that come first, as Keras writes them
    _config_without: ClassVar[tuple[str, ...]] = ()  # arguments that Keras does not write

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        bases = type(self).__mro__
        known: Any = next(c for c in bases if package_of(c) == "tinynet")
        _, *own = _signature(known.__init__).parameters.values()
        names = *self._config_first, *(p.name for p in own if not str(p).startswith("*"))
        return {name: getattr(self, name) for name in names if name not in self._config_without}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Return a new object, made from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        """Return the class with the arguments that differ from their defaults."""
        try:
            config = self.get_config()
        except Exception:  # a repr never fails, even of a user's class that is incomplete
            return object.__repr__(self)
        known = _signature(type(self).__init__).parameters
        defaults = {name: _text(p.default) for name, p in known.items()}
        texts = {name: _text(value) for name, value in config.items() if name != "name"}
        given = (f"{name}={t}" for name, t in texts.items() if t != defaults.get(name))
        return f"{type(self).__name__}({', '.join(given)})"

    _repr_html_ = notebook_form


def _text(value: Any) -> str:
    """Return the text of a value in a repr: floats are rounded, configs reduced to their class."""
    if isinstance(value, dict) and "class_name" in value:
        return f"{value['class_name']}(...)"
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def plain_arguments(cls: Any, args: Any, kwargs: Any) -> dict[str, Any] | None:
    """Return the arguments of a call of `cls` by name if all are plain data, else None."""
    _, *parameters = _signature(cls.__init__).parameters.values()
    names = [p.name for p in parameters if p.kind is Parameter.POSITIONAL_OR_KEYWORD]
    given = dict(zip(names, args, strict=False)) | kwargs
    return given if len(args) <= len(names) and _is_plain(given) else None


def _is_plain(value: Any) -> bool:
    """Return whether `value` is plain data, or nested lists, tuples and dicts of plain data."""
    if isinstance(value, (list, tuple, dict)):
        return all(map(_is_plain, value.values() if isinstance(value, dict) else value))
    return isinstance(value, _PLAIN)


def refuse_unknown(made: Any, kwargs: Mapping[str, Any]) -> None:
    """Raise ValueError for arguments that are left over when an object is made."""
    if kwargs:
        owner = type(made).__name__
        text = f"{owner}: expected only arguments that tinynet has, received {kwargs}."
        raise ValueError(outdated(owner, kwargs) or text)


class Constructor:
    """An `__init__` with computed parameters, which passes them and `fixed` by name to another one.

    `parameters` is called when the signature is first needed: most classes are never instantiated.
    """

    def __init__(
        self, init: Any, parameters: Callable[[], Iterable[Parameter]], **fixed: Any
    ) -> None:
        update_wrapper(self, init)
        self._init, self._parameters, self._fixed = answering(init), parameters, fixed

    @cached_property
    def __signature__(self) -> Signature:
        return Signature(list(self._parameters()))

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        try:
            given = self.__signature__.bind(*args, **kwargs)
        except TypeError as error:
            owner = type(args[0]).__name__
            raise TypeError(outdated(owner, kwargs) or f"{owner}: {error}") from None
        given.apply_defaults()
        more = given.arguments.pop("kwargs", {})
        self._init(**given.arguments, **self._fixed, **more)


def taking(base: Any, init: Any, first: str = "", **defaults: Any) -> Any:
    """Return a constructor with the arguments of `init`, then those of `base`, by position too.

    ``**more`` in `init` receives the latter, so they are written only once, and signatures are
    Keras's. The arguments named in `first` come first; `defaults` replace those of `base`.
    """

    def parameters() -> Iterable[Parameter]:
        own = {k: p for k, p in _signature(init).parameters.items() if p.kind is not p.VAR_KEYWORD}
        found = own | {**_signature(base.__init__).parameters, **own}
        found |= {name: found[name].replace(default=value) for name, value in defaults.items()}
        return ({name: found[name] for name in ("self", *first.split())} | found).values()

    return Constructor(init, parameters)


class FunctionObject(Configurable):
    """Base of losses and metrics that are made from a function ``(y_true, y_pred, **options)``.

    ``class Huber(LossFunction, fn=huber, name="huber_loss")`` has a constructor with the arguments
    of `LossFunction`, except the function, and with the function's options and their defaults.
    Class keywords replace defaults; without one the name is the function's. `arguments` lists the
    constructor's arguments where Keras has another order or fewer options. Options are attributes:
    changing one changes what the object computes.
    """

    _function = "fn"  # the name of the argument that is the function
    _options_first = False  # whether they come before the other arguments

    def __init_subclass__(cls, fn: Any = None, arguments: str = "", **defaults: Any) -> None:
        super().__init_subclass__()
        if fn is None:
            return
        target: Any = cls
        init = target.__init__

        def parameters() -> Iterable[Parameter]:
            own, (_, _, *options) = _signature(init).parameters, _signature(fn).parameters
            this, _, *common, _ = own  # without the function and `**options`
            known = {**_signature(fn).parameters, **own}
            for key, value in {"name": fn.__name__, **defaults}.items():
                known[key] = known[key].replace(default=value)
            default = [*options, *common] if cls._options_first else [*common, *options]
            return [known[key] for key in (this, *(arguments.split() or default))]

        target.__init__ = Constructor(init, parameters, **{cls._function: fn})

    def _keep_options(self, options: dict[str, Any]) -> None:
        self._options = tuple(options)
        vars(self).update(options)

    @property
    def options(self) -> dict[str, Any]:
        """The function's keyword arguments, as the attributes of these names are now."""
        return {name: getattr(self, name) for name in self._options}

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        return super().get_config() | self.options
