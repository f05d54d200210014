"""Optimizers, under Keras's path: ``from tinynet.optimizers import Adam``. Read next: `base.py`."""

from .adam import Adam as Adam, Adamax as Adamax, AdamW as AdamW, Nadam as Nadam
from .base import Optimizer as Optimizer
from .lookup import get as get, serialize as serialize
from .sgd import SGD as SGD, Adagrad as Adagrad, RMSprop as RMSprop

_HOMES = {"": "schedules"}
