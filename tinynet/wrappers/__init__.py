"""Models as estimators of scikit-learn, under Keras's path: `tinynet.wrappers.SKLearnClassifier`.

scikit-learn is loaded when one of the classes is first used. Read next: `estimators.py`.
"""

_HOMES = {"estimators": "SKLearnClassifier SKLearnRegressor SKLearnTransformer"}
