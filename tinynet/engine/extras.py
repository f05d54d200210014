"""The error for packages that are missing: it names the extra, and the command that installs it.

The name `tinynet` on the Python package index belongs to another project, so the command never
asks for that name there. Imports the standard library. Read next: `primitives/special.py`.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from importlib import import_module
from typing import Any

# The folder of a clone, or of all installed packages.
ROOT = os.path.normpath(f"{__file__}/../../..")


def imported(module: str, what: str, extra: str) -> Any:
    """Return a module; if it is missing, raise the error of `missing`."""
    try:
        return import_module(module)
    except ImportError:
        raise missing(what, extra) from None


def missing(what: str, extra: str) -> ImportError:
    """Return an ImportError that says that `what` needs the packages of an extra.

    The command installs a clone with the extra, or the packages that the metadata of an installed
    tinynet list for it.

    >>> print(missing("A picture", "plot"))  # doctest: +ELLIPSIS
    A picture needs the extra 'plot' of tinynet: pip install ...
    """
    packages = _arguments(extra)
    advice = f"pip install {packages}" if packages else "its packages are listed in setup.cfg"
    return ImportError(f"{what} needs the extra {extra!r} of tinynet: {advice}")


def _arguments(extra: str) -> str:
    """Return the arguments for pip, in quotes that every shell knows."""
    from importlib import metadata  # both are slow to load
    from pathlib import Path

    settings = Path(ROOT, "setup.cfg")
    if settings.exists() and "name = tinynet\n" in settings.read_text(encoding="utf-8"):
        return f'-e "{ROOT}[{extra}]"'
    ends, found = re.compile(rf"(;| and) extra == .{extra}.$"), []
    with suppress(metadata.PackageNotFoundError):
        found = [r for r in metadata.requires("tinynet") or () if ends.search(r)]
    return " ".join('"{}"'.format(ends.sub("", r).strip().replace('"', "'")) for r in found)
