"""Callbacks: what is called in the course of training. Read `base.py`, then `monitors.py`."""

from .base import Callback, CallbackList, History, LambdaCallback, ProgbarLogger
from .files import BackupAndRestore, CSVLogger, ModelCheckpoint
from .monitors import EarlyStopping, LearningRateScheduler, ReduceLROnPlateau, TerminateOnNaN
from .weights import WeightHistory

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
    "WeightHistory",
]
