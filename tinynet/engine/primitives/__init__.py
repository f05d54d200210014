"""The primitives: `elementwise.py`, `shapes.py`, `products.py` and others, simplest first."""
