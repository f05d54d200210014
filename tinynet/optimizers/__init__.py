"""Optimizers, under Keras's path: ``from tinynet.optimizers import Adam``. Read next: `base.py`."""

from .adam import Adam as Adam, AdamW as AdamW
from .adaptive import Adagrad as Adagrad, Adamax as Adamax, Nadam as Nadam
from .base import Optimizer as Optimizer
from .lookup import get as get, serialize as serialize
from .rmsprop import RMSprop as RMSprop
from .sgd import SGD as SGD

_HOMES = {"": "schedules"}
