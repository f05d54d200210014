"""Type stub. Written by tests/support/stubs.py from the signatures: change those."""

from .base import Callback as Callback
from .base import CallbackList as CallbackList
from .base import History as History
from .base import LambdaCallback as LambdaCallback
from .base import ProgbarLogger as ProgbarLogger
from .files import BackupAndRestore as BackupAndRestore
from .files import CSVLogger as CSVLogger
from .files import ModelCheckpoint as ModelCheckpoint
from .monitors import EarlyStopping as EarlyStopping
from .monitors import LearningRateScheduler as LearningRateScheduler
from .monitors import ReduceLROnPlateau as ReduceLROnPlateau
from .monitors import TerminateOnNaN as TerminateOnNaN
from .records import SwapEMAWeights as SwapEMAWeights
from .records import TensorBoard as TensorBoard
from .records import WeightHistory as WeightHistory
