"""Callbacks: objects whose methods run during training. Read `base.py`, then `monitors.py`."""

from .base import Callback as Callback, CallbackList as CallbackList, History as History
from .base import LambdaCallback as LambdaCallback, ProgbarLogger as ProgbarLogger

_HOMES = {
    "files": "BackupAndRestore CSVLogger ModelCheckpoint",
    "monitors": "EarlyStopping LearningRateScheduler ReduceLROnPlateau TerminateOnNaN",
    "records": "SwapEMAWeights TensorBoard WeightHistory",
}
