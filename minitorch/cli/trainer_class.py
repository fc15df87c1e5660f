"""`--trainer MODULE:CLASS`: a subclass of Trainer that the user names, where no file may."""

import importlib
import os
import sys
from types import ModuleType

from minitorch.errors import ConfigError
from minitorch.trainer import Trainer
from minitorch.trainer.public_names import near


def trainer_class(name: str) -> type[Trainer]:
    """The class that `name`, such as "my_package.training:MnistTrainer", stands for.

    Modules are looked for in the current folder first, then where Python finds them.

    Raises:
        ConfigError: the name has another form, there is no such module or class, or it is no subclass of Trainer.
    """
    module, _, cls = name.partition(":")
    if not module or not cls or module.endswith(".py"):
        raise ConfigError(
            f"--trainer is {name!r}; give MODULE:CLASS, such as training:MnistTrainer for the class MnistTrainer of "
            "training.py"
        )
    found = _module(module)
    trainers = [key for key, value in vars(found).items() if _is_trainer(value)]
    if cls not in trainers:
        what = f"is {vars(found)[cls]!r}" if cls in vars(found) else "is not there"
        raise ConfigError(f"--trainer: {cls} of {module} {what}; give a subclass of Trainer: {near(cls, trainers)}")
    return vars(found)[cls]  # type: ignore[no-any-return]


def _module(name: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):  # the module itself misses another
            raise
        raise ConfigError(
            f"--trainer: there is no module {name!r} in {here}, nor among those installed; go to its folder, or add it "
            "to PYTHONPATH"
        ) from None


def _is_trainer(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Trainer)
