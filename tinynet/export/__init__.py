"""Export: the forward pass of a model as a file that does without tinynet.

The model is recorded as a program; a format is a table from primitives to what stands for them in
its files, and so has every layer at once, users' own included.

Imports the modules beside it. Read next: `forward.py`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ..public import only_public
from ..saving.files import replacing
from .forward import forward_of
from .numpy_file import file_text
from .onnx_file import OPSET, onnx_model

FORMATS = ("numpy", "onnx")


def export(
    model: Any,
    filepath: Any,
    format: str,
    verbose: bool | None = None,
    input_signature: Any = None,
    **options: Any,
) -> None:
    """Write the forward pass of `model` to a file; see `models.Model.export`."""
    if format not in FORMATS:
        raise ValueError(
            f"format: expected one of {FORMATS}, received {format!r}. For what else Keras exports "
            "to, save the model by `model.save('model.keras')`, load that in Keras and export it."
        )
    opset = options.pop("opset_version", None) or OPSET if format == "onnx" else OPSET
    if options or opset < OPSET:
        problem = f"opset_version={opset}; it begins with {OPSET}" if opset < OPSET else options
        raise ValueError(f"export: there are no such options for format={format!r}: {problem}.")
    forward = forward_of(model, input_signature)
    version = sys.modules["tinynet"].__version__  # which is loaded after this module
    if format == "numpy":
        name = os.path.basename(os.fspath(filepath))
        data = file_text(forward, model.name, version, name).encode()
    else:
        data = onnx_model(forward, model.name, version, opset).SerializeToString()
    with replacing(filepath) as file:
        file.write(data)
    if verbose or verbose is None:
        print(f"Saved artifact at '{os.fspath(filepath)}'.")


only_public(__name__)
