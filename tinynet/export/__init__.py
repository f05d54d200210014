"""Export: the forward pass of a model as a file that can be used without tinynet.

The model is recorded as a program, and each format has a table that translates primitives. So every
layer can be exported, including those that users write.

Imports the modules of this folder. Read next: `forward.py`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ..configs.files import replacing
from ..distribution.ranks import by_rank_0
from ..engine.expect import expect
from ..engine.refusal import answering
from .c_file import c_text
from .forward import forward_of
from .numpy_file import file_text
from .onnx_file import OPSET, onnx_model

TEXTS = {"numpy": file_text, "c": c_text}
FORMATS = ("numpy", "onnx", "c")


@answering
@by_rank_0
def export(
    model: Any, filepath: Any, format: str, verbose: Any, input_signature: Any, **options: Any
) -> None:
    """Write the forward pass of `model` to a file; see `models.Model.export`."""
    expected = f"one of {FORMATS} (for others, save a .keras file, and export it in Keras)"
    expect(format in FORMATS, "format", expected, format)
    opset = options.pop("opset_version", None) or OPSET if format == "onnx" else OPSET
    expect(not options, "export", f"no other options for format={format!r}", options)
    expect(opset >= OPSET, "export: opset_version", f"at least {OPSET}", opset)
    forward = forward_of(model, input_signature, rows=1 if format == "c" else None)
    version = sys.modules["tinynet"].__version__  # not imported: it is loaded after this module
    if format in TEXTS:
        data = TEXTS[format](forward, model.name, version).encode()
    else:
        data = onnx_model(forward, model.name, version, opset).SerializeToString()
    with replacing(filepath) as file:
        file.write(data)
    if verbose or verbose is None:
        print(f"Saved artifact at '{os.fspath(filepath)}'.")
