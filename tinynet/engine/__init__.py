"""Tensors and their derivatives: start with `tensor.py`. Knows no network and no compiler."""

from . import operators as operators  # adds the operators to tensors and variables
