"""Several optimizers in one Trainer, by name: each updates its part of the model, and all are moved and saved."""

import pytest
from small_runs import OTHER_SEED, batches, trainer, weights

import fake_cupy
import minitorch
import minitorch.functions as F
from minitorch import Trainer, Variable
from minitorch.errors import ConfigError, GraphError, StateError
from minitorch.models import MLP
from minitorch.optimizers import SGD, Adam, MomentumSGD
from minitorch.trainer.callbacks import Checkpoint, DevicePlacement


def two():
    """One for each layer of the small network."""
    return {"l0": Adam(0.1), "l1": MomentumSGD(0.1)}


def test_each_is_set_up_for_the_part_of_its_name():
    """`{"l0": ...}` updates `model.l0`, and nothing else."""
    run = trainer(optimizer=two())
    assert list(run.optimizers) == ["l0", "l1"]
    assert run.optimizers["l0"].target is run.model.l0
    run.fit(batches(), epochs=1)
    assert [list(each.state) for each in run.optimizers.values()] == [["W", "b"], ["W", "b"]]
    assert [each.updates for each in run.optimizers.values()] == [4, 4]


def test_one_for_each_part_is_one_for_the_whole():
    """Two of plain SGD train as one does, bit for bit."""
    both = []
    for optimizer in (SGD(0.1), {"l0": SGD(0.1), "l1": SGD(0.1)}):
        minitorch.seed(0)
        run = trainer(optimizer=optimizer)
        run.fit(batches(), epochs=2)
        both.append(weights(run))
    assert both[0] == both[1]


def test_one_that_is_set_up_keeps_its_target():
    """Then its name may be any."""
    model = MLP((4, 3))
    run = trainer(model=model, optimizer={"head": SGD(0.1).setup(model.l1), "l0": SGD(0.1)})
    assert run.optimizers["head"].target is model.l1


def test_parts_of_parts_are_named_with_a_dot():
    """`{"inner.l0": ...}` updates `model.inner.l0`."""

    class Outer(minitorch.Model):
        def __init__(self):
            super().__init__()
            self.inner = MLP((4, 3))

        def forward(self, x):
            return self.inner(x)

    run = trainer(model=Outer(), optimizer={"inner.l0": SGD(0.1)})
    run.fit(batches(), epochs=1)
    assert run.optimizers["inner.l0"].target is run.model.inner.l0


def test_a_part_that_the_loss_does_not_reach():
    """Networks that are trained against each other need an `optimizer_step`, which a note says; one alone gets none."""

    class Half(Trainer):
        def training_step(self, batch):
            x = Variable(self.model.l0(batch[0]).data, requires_grad=False)
            return F.softmax_cross_entropy(self.model.l1(x), batch[1])

    with pytest.raises(GraphError, match=r"no Parameter of Linear\(.*\) has a gradient") as info:
        trainer(cls=Half, optimizer=two()).fit(batches(), epochs=1)
    assert info.value.__notes__ == [
        "each optimizer updates by the loss that training_step returns; where each has one of its own, override "
        "optimizer_step"
    ]
    run = trainer(cls=Half)
    run.optimizers[""].setup(run.model.l0)
    with pytest.raises(GraphError) as info:
        run.fit(batches(), epochs=1)
    assert not hasattr(info.value, "__notes__")


def test_the_optimizer_is_the_only_one():
    """`trainer.optimizer` is the one that was given, and asks for a name where there are several."""
    for only, given in ((one := SGD(0.1), one), (one := SGD(0.1), {"l0": one})):
        assert trainer(optimizer=given).optimizer is only
    with pytest.raises(ConfigError, match=r"several optimizers \(l0, l1\); name one: trainer\.optimizers\[\.\.\.\]"):
        _ = trainer(optimizer=two()).optimizer


def test_all_are_moved_to_the_device():
    """DevicePlacement moves the moments of each."""
    run = trainer(optimizer=two())
    run.fit(batches(), epochs=1)
    with fake_cupy.installed() as cupy:
        run.callbacks.append(DevicePlacement("cuda"))
        run.fit(batches(), epochs=2)
        entries = [entry for each in run.optimizers.values() for entry in each.state.values()]
        arrays = [value for entry in entries for value in entry.values() if hasattr(value, "shape")]
        assert len(arrays) == 2 * 2 + 2
        assert all(isinstance(array, cupy.ndarray) for array in arrays)


@OTHER_SEED
def test_a_resumed_run_ends_where_one_at_once_does(tmp_path):
    """The moments of all come back, bit for bit."""
    ends = []
    for folder, stops in (("at once", [7]), ("stopped", [3, 7])):
        minitorch.seed(0)
        for stop in stops:
            run = trainer(Checkpoint(tmp_path / folder), optimizer=two())
            run.fit(batches(), steps=stop, resume="auto")
            minitorch.seed(9)
        ends.append((weights(run), [each.updates for each in run.optimizers.values()], run.history))
    assert ends[0] == ends[1]


def test_a_checkpoint_of_other_optimizers_is_refused():
    """The names are compared, and the one that does not fit is named."""
    run = trainer(optimizer=two())
    run.fit(batches(), epochs=1)
    state = run.state_dict()
    deep = MLP((4, 4, 3))
    deep(batches(1)[0][0])
    with pytest.raises(StateError, match=r"optimizers: missing \(1\): l2; unexpected \(1\): l1"):
        trainer(model=deep, optimizer={"l0": Adam(), "l2": SGD()}).load_state_dict(state | {"model": deep.state_dict()})
    with pytest.raises(StateError, match=r"optimizer l1: SGD: the state is of MomentumSGD"):
        trainer(optimizer={"l0": Adam(), "l1": SGD()}).load_state_dict(state)


def test_explain_names_them():
    """The first line says which updates what."""
    assert trainer(optimizer=two()).explain().splitlines()[0].endswith("with Adam for l0 and MomentumSGD for l1")


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ({}, "optimizer is an empty dict; name optimizers in it"),
        ({"l0": SGD}, "optimizer 'l0' is <class .*; give an instance, such as"),
        ({"l7": SGD()}, "MLP has no layer 'l7' for the optimizer of this name to update; name it as an attribute"),
        ({"forward": SGD()}, "MLP has no layer 'forward' for the optimizer"),
        ({0: SGD()}, "an optimizer is named 0; a name is a string without a slash"),
        ({"a/b": SGD()}, "an optimizer is named 'a/b'; a name is a string without a slash"),
        ([SGD()], "optimizer is a list of 1; name them after the parts of the model"),
    ],
)
def test_misuse(optimizer, message):
    """Each is told what to do."""
    with pytest.raises(ConfigError, match=f"Trainer: {message}"):
        trainer(optimizer=optimizer)
