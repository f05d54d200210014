"""Models as estimators of scikit-learn, under Keras's path: `tinynet.wrappers.SKLearnClassifier`.

scikit-learn is loaded when one of the classes is first used. Read next: `estimators.py`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .estimators import SKLearnClassifier as SKLearnClassifier
    from .estimators import SKLearnRegressor as SKLearnRegressor
    from .estimators import SKLearnTransformer as SKLearnTransformer
else:
    _HOMES = {"estimators": "SKLearnClassifier SKLearnRegressor SKLearnTransformer"}
