"""`check_resumable`: what a callback forgets to save is found, named, and told how to be kept."""

from pathlib import Path

import attrs
import numpy as np
import pytest
from small_runs import at, batches, trainer

from minitorch import Callback, Variable
from minitorch.errors import ConfigError, HookError, StateError
from minitorch.optimizers.schedules import Exponential
from minitorch.trainer import check_resumable
from minitorch.trainer.callbacks import (
    EMA,
    Checkpoint,
    EarlyStopping,
    EpochTimer,
    GradientAccumulation,
    JSONLLogger,
    LRSchedule,
    ThroughputMonitor,
)


class Forgetful(Callback):
    """Counts batches, and saves nothing."""

    def __init__(self, start=0):
        self.start = start
        self.seen = start
        self._cache = object()

    def on_batch_end(self, trainer, outputs):
        self.seen += 1


class Counting(Forgetful):
    """Counts batches, and saves the count."""

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


def trained(*callbacks):
    """A Trainer that has done five steps."""
    run = trainer(*callbacks)
    run.fit(batches(4), epochs=2)
    return run


def test_state_that_is_not_saved_is_found():
    """The callback, the attribute, both values and the remedy are in the message."""
    run = trained(Forgetful(), Forgetful(start=3))
    with pytest.raises(StateError) as raised:
        check_resumable(run)
    message = str(raised.value)
    assert "Forgetful.seen: 8 was saved with, 0 came back" in message
    assert "Forgetful-2.seen: 11 was saved with, 3 came back" in message
    assert "return it in `state_dict` and put it back in `load_state_dict`" in message
    assert "_cache" not in message
    assert "start" not in message


def test_state_that_is_saved_is_not():
    """A callback that keeps what changes passes, and the Trainer is left alone."""
    run = trained(Counting())
    check_resumable(run)
    assert run.callbacks[0].seen == 8


def test_arrays_and_numbers_of_other_types_count():
    """An array that comes back with other values, or a tuple that comes back as a list, is not the same."""

    class Arrays(Counting):
        def __init__(self):
            super().__init__()
            self.start = 0
            self.sums = np.zeros(2)
            self.pair = ()

        def on_batch_end(self, trainer, outputs):
            self.sums = self.sums + np.nan
            self.pair = (1.0, {"a": [np.ones(2)]})

        def state_dict(self):
            return {"sums": self.sums, "pair": self.pair}

        def load_state_dict(self, state):
            self.sums, self.pair = np.asarray(state["sums"]), state["pair"]

    with pytest.raises(StateError, match=r"Arrays\.pair: \(1\.0, .* was saved with, \[1\.0, "):
        check_resumable(trained(Arrays()))
    Arrays.load_state_dict = lambda self, state: (
        setattr(self, "sums", state["sums"]) or setattr(self, "pair", tuple(state["pair"]))
    )
    check_resumable(trained(Arrays()))


def test_slots_are_looked_at():
    """Callbacks of attrs have no `__dict__`."""

    @attrs.define(eq=False)
    class Slotted(Callback):
        every: int = 2
        seen: int = attrs.field(default=0, init=False)

        def on_batch_end(self, trainer, outputs):
            self.seen += 1

    with pytest.raises(StateError, match=r"Slotted\.seen: 8 was saved with, 0 came back"):
        check_resumable(trained(Slotted(3)))


def test_what_is_derived_may_be_left_out():
    """Attributes that `on_fit_start` computes are named, and then not asked for."""
    check_resumable(trained(Forgetful()), derived=["Forgetful.seen"])


def test_callbacks_that_cannot_be_made_anew_need_a_function():
    """Where an argument is no attribute, the error asks for `make`, which then is used."""

    class Hidden(Counting):
        def __init__(self, secret):
            super().__init__()

    run = trained(Hidden(1))
    with pytest.raises(ConfigError, match=r"'secret' is no attribute of it; give make=lambda: \[\.\.\.\]"):
        check_resumable(run)
    check_resumable(run, make=lambda: [Hidden(1)])
    with pytest.raises(ConfigError, match=r"make\(\) gives Counting, not Hidden"):
        check_resumable(run, make=lambda: [Counting()])


def test_those_of_the_house_come_back(tmp_path):
    """Callbacks with state of their own pass, also with files."""
    callbacks = [
        ThroughputMonitor(),
        EMA(),
        LRSchedule(Exponential(0.9)),
        GradientAccumulation(3),
        EarlyStopping("loss"),
        EpochTimer(),
    ]
    check_resumable(trained(*callbacks, JSONLLogger(tmp_path), Checkpoint(tmp_path)))


# What authors of callbacks get wrong ---------------------------------------------------------------------------------


def stateful(value):
    """A Counting callback whose state has `value` too, and comes back from it as it is."""

    class Stateful(Counting):
        def __init__(self):
            super().__init__()
            self.start, self.value = 0, value

        def state_dict(self):
            return super().state_dict() | {"value": self.value}

        def load_state_dict(self, state):
            super().load_state_dict(state)
            self.value = state["value"]

    return Stateful()


TAKEN = "a state is made of dict, list, str, int, float, bool, None and arrays: convert it"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({3, 1}, rf"['value'] is a set; {TAKEN}: sorted(x)"),
        ([np.float32(1)], rf"['value'][0] is a float32; {TAKEN}: x.item()"),
        ({"at": Path("x")}, rf"['value']['at'] is a {type(Path()).__name__}; {TAKEN}: str(x)"),
        (Variable(np.zeros(2)), rf"['value'] is a Variable; {TAKEN}: x.data"),
        (object, rf"['value'] is a type; {TAKEN}"),
        ({1: 2}, "['value'] has the key 1; keys must be strings: use '1'"),
    ],
)
def test_what_cannot_be_saved_is_said_before_the_first_step(tmp_path, value, message):
    """Not when the first checkpoint is made, after an epoch; callback, place and conversion are named."""
    begun = []
    run = trainer(stateful(value), at("on_batch_start", lambda run, batch: begun.append(batch)), Checkpoint(tmp_path))
    with pytest.raises(StateError) as info:
        run.fit(batches(), epochs=1)
    assert str(info.value) == f"callback Stateful: state_dict(){message}"
    assert begun == []
    run = trained(stateful(value))
    with pytest.raises(StateError, match=r"^callback Stateful: state_dict\(\)\['value'\]"):
        check_resumable(run)


@pytest.mark.parametrize("state", [None, [1], "seen"])
def test_a_state_is_a_dict(tmp_path, state):
    """A forgotten `return` is not taken for no state."""

    class Other(Counting):
        def state_dict(self):
            return state

    with pytest.raises(StateError) as info:
        trainer(Other(), Checkpoint(tmp_path)).fit(batches(), epochs=1)
    kind = type(state).__name__
    assert (
        str(info.value) == f"callback Other: state_dict() returned {kind}; return a dict, {{}} where there is no state"
    )


@pytest.mark.parametrize(("has", "lacks"), [("state_dict", "load_state_dict"), ("load_state_dict", "state_dict")])
def test_one_of_two_methods_is_refused_at_the_definition(has, lacks):
    """What is saved must be put back, and what is put back must have been saved; a base may have the other."""
    with pytest.raises(HookError) as info:
        type("Half", (Forgetful,), {has: getattr(Counting, has)})
    assert str(info.value) == (
        f"Half defines {has} and no {lacks}; a resumed run needs both: what state_dict(self) returns is given to "
        "load_state_dict(self, state)"
    )
    type("Half", (Counting,), {has: getattr(Counting, has)})


def test_a_tuple_and_a_key_that_is_not_there():
    """The list that comes back is explained; an error in `load_state_dict` names the callback."""
    with pytest.raises(
        StateError, match=r"Stateful\.value: \(1, 2\) was .* \[1, 2\] came back; a tuple is saved as a list"
    ):
        check_resumable(trained(stateful((1, 2))))

    class Misspelled(Counting):
        def load_state_dict(self, state):
            self.seen = state["sen"]

    with pytest.raises(
        StateError, match=r"^check_resumable: callback Misspelled: the state is of another form .*'sen'"
    ):
        check_resumable(trained(Misspelled()))


def test_private_attributes_are_looked_at_when_asked_for():
    """What begins with an underscore may be lost, unless its author wants to know."""

    class Private(Counting):
        def on_batch_end(self, trainer, outputs):
            self._seen = self.seen = self.seen + 1
            self._cache = None

    run = trained(Private())
    check_resumable(run)
    with pytest.raises(StateError, match=r"Private\._seen: 8 was saved with, nothing came back"):
        check_resumable(run, private=True)
