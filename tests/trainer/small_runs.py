"""Small runs that the tests of the Trainer share: a few batches, a small network, and callbacks that take notes."""

import numpy as np
import pytest

import minitorch.functions as F
from minitorch import Callback, DataLoader, Trainer
from minitorch.datasets import ArrayDataset
from minitorch.models import MLP
from minitorch.optimizers import SGD
from minitorch.trainer.callback import HOOKS, Phase

# For tests of resumed runs, which seed otherwise in between, as a process would that knows nothing of the first.
OTHER_SEED = pytest.mark.filterwarnings("ignore:the run goes on as it was in .* the seed is:UserWarning")


def samples(n=20, seed=0):
    """`n` samples of 6 numbers, and their classes from 0 to 2."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 6)).astype(np.float32)
    return x, (x[:, :3].argmax(axis=1)).astype(np.int64)


def batches(n=4, size=5, seed=0):
    """A list of `n` batches `(x, t)` of `size` samples."""
    x, t = samples(n * size, seed)
    return [(x[i : i + size], t[i : i + size]) for i in range(0, n * size, size)]


def loader(n=20, batch_size=5, **settings):
    """A DataLoader of `n` samples."""
    return DataLoader(ArrayDataset(*samples(n)), batch_size, **settings)


def trainer(*callbacks, cls=Trainer, optimizer=None, model=None, **settings):
    """A Trainer of a small classifier, with SGD and no callbacks but those given."""
    if cls is Trainer:
        settings.setdefault("loss", F.softmax_cross_entropy)
    model = MLP((4, 3)) if model is None else model
    return cls(model, SGD(0.1) if optimizer is None else optimizer, callbacks=list(callbacks), **settings)


def weights(run):
    """The weights of a Trainer by path, as bytes."""
    return {path: array.tobytes() for path, array in run.model.state_dict().items()}


def _note(name):
    def hook(self, trainer, *given):
        self.heard.append((self.name, name))
        if name in self.actions:
            self.actions[name](trainer, *given)
        return given[0] if name == "on_batch_start" else None

    return hook


class Everything(Callback):
    """Has all hooks; `heard` lists (name, hook) as they come, and `actions` are called in some of them.

    Several may write to one list.
    """

    def __init__(self, name="notes", heard=None, **actions):
        self.name = name
        self.heard = [] if heard is None else heard
        self.actions = actions
        assert set(actions) <= set(HOOKS)

    @property
    def hooks(self):
        """The hooks heard, in order."""
        return [hook for _, hook in self.heard]


for _name in HOOKS:
    setattr(Everything, _name, _note(_name))


def at(hook, action, *, phase=None):
    """A callback with one hook, that calls `action(trainer, ...)`."""

    def run(self, trainer, *given):
        return action(trainer, *given)

    members = {hook: run}
    if phase is not None:
        members["phase"] = Phase(phase)
    return type("At", (Callback,), members)()
