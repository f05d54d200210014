"""Callbacks: objects whose methods run during training. Read `base.py`, then `monitors.py`."""

from typing import TYPE_CHECKING

from .base import Callback as Callback, CallbackList as CallbackList, History as History
from .base import LambdaCallback as LambdaCallback, ProgbarLogger as ProgbarLogger

if TYPE_CHECKING:
    from .files import BackupAndRestore as BackupAndRestore, CSVLogger as CSVLogger
    from .files import ModelCheckpoint as ModelCheckpoint
    from .monitors import EarlyStopping as EarlyStopping
    from .monitors import LearningRateScheduler as LearningRateScheduler
    from .monitors import ReduceLROnPlateau as ReduceLROnPlateau, TerminateOnNaN as TerminateOnNaN
    from .tensorboard import TensorBoard as TensorBoard
    from .weights import SwapEMAWeights as SwapEMAWeights, WeightHistory as WeightHistory
else:
    _HOMES = {
        "files": "BackupAndRestore CSVLogger ModelCheckpoint",
        "tensorboard": "TensorBoard",
        "monitors": "EarlyStopping LearningRateScheduler ReduceLROnPlateau TerminateOnNaN",
        "weights": "SwapEMAWeights WeightHistory",
    }
