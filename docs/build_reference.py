"""Builds the reference of all modules from their docstrings: `python docs/build_reference.py FOLDER`."""

import importlib
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

import pdoc

import minitorch
from minitorch.foreign import Missing
from minitorch.trainer.foreign_names import ForeignName

BESIDES = ("minitorch.serialize",)  # public, and named by no module above it


def main(folder: Path) -> None:
    """Write one page a module to `folder`, and an index."""
    for found in pkgutil.walk_packages(minitorch.__path__, "minitorch."):
        if found.name != "minitorch.__main__":
            importlib.import_module(found.name)
    for module in [module for name, module in sys.modules.items() if name.split(".")[0] == "minitorch"]:
        for name in getattr(module, "__all__", []):
            setattr(module, name, getattr(module, name))  # pdoc does not see what a module loads at first use
    for cls in {thing for module in list(sys.modules.values()) for thing in _classes(module)}:
        for name in [name for name, value in vars(cls).items() if isinstance(value, Missing | ForeignName)]:
            delattr(cls, name)  # it is there to say that there is no such thing
    pdoc.render.configure(docformat="google")
    pdoc.pdoc("minitorch", *BESIDES, output_directory=folder)


def _classes(module: ModuleType) -> list[type]:
    """Those that are found in a module of the package."""
    own = module.__name__.split(".")[0] == "minitorch"
    return [thing for thing in vars(module).values() if isinstance(thing, type)] if own else []


if __name__ == "__main__":
    main(Path(sys.argv[1]))
