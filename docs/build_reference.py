"""Builds the reference of all modules from their docstrings: `python docs/build_reference.py FOLDER`."""

import importlib
import pkgutil
import sys
from pathlib import Path

import pdoc

import minitorch

BESIDES = ("minitorch.serialize",)  # public, and named by no module above it


def main(folder: Path) -> None:
    """Write one page a module to `folder`, and an index."""
    for found in pkgutil.walk_packages(minitorch.__path__, "minitorch."):
        if found.name != "minitorch.__main__":
            importlib.import_module(found.name)
    for module in [module for name, module in sys.modules.items() if name.split(".")[0] == "minitorch"]:
        for name in getattr(module, "__all__", []):
            setattr(module, name, getattr(module, name))  # pdoc does not see what a module loads at first use
    pdoc.render.configure(docformat="google")
    pdoc.pdoc("minitorch", *BESIDES, output_directory=folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
