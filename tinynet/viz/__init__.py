"""Pictures, drawn with matplotlib alone. Read `style.py`, then `curves.py`.

Importing this package does not load matplotlib; drawing does.
"""

from types import FunctionType

from ..engine.refusal import answering
from .curves import plot_fit as plot_fit, plot_history as plot_history
from .curves import plot_learning_rate as plot_learning_rate
from .graph import plot_graph as plot_graph, plot_model as plot_model
from .landscape import Surface as Surface, animate_descent as animate_descent
from .landscape import loss_surface as loss_surface, plot_loss_surface as plot_loss_surface
from .weights import plot_weights as plot_weights

for _name, _function in [*globals().items()]:
    if isinstance(_function, FunctionType) and _function is not answering:
        globals()[_name] = answering(_function)
