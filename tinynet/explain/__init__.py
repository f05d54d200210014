"""One training step explained: see `step.py`."""
