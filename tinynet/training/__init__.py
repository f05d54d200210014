"""Training a model: start with `trainer.py`."""
