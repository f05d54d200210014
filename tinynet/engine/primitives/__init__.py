"""The primitives: `elementwise.py`, `shapes.py`, `products.py`, `indexing.py`, simplest first."""
