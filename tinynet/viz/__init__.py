"""Pictures, drawn with matplotlib alone. Read `style.py`, then `curves.py`.

Importing it does not load matplotlib; drawing does.
"""

from .animation import animate_descent
from .curves import plot_fit, plot_history, plot_learning_rate
from .graph import plot_graph
from .landscape import Surface, loss_surface, plot_loss_surface
from .models import plot_model
from .weights import plot_weights

__all__ = [
    "Surface",
    "animate_descent",
    "loss_surface",
    "plot_fit",
    "plot_graph",
    "plot_history",
    "plot_learning_rate",
    "plot_loss_surface",
    "plot_model",
    "plot_weights",
]
