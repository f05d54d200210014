"""Explanations of training: one step with all its numbers, and the optimizer's formulas.

Imports the modules of this folder. Read next: `step.py`.
"""

from .step import Explanation as Explanation, explain_step as explain_step
