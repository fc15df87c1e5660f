"""ModelSummary and model_summary: the right numbers, and a model that is afterwards what it was before."""

import numpy as np
import pytest
import small_runs

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Layer, Model, Parameter
from minitorch.errors import ShapeError
from minitorch.models import MLP, Sequential
from minitorch.trainer.callbacks import ModelSummary, model_summary


class Block(Layer):
    """Two layers, of which one is also used elsewhere, and a Parameter of its own."""

    def __init__(self, shared):
        super().__init__()
        self.inner = L.Linear(8)
        self.shared = shared
        self.scale = Parameter(np.ones(5, np.float32))
        self.mean = Parameter(np.zeros(7, np.float32), requires_grad=False)

    def forward(self, x):
        return self.shared(self.inner(x)), x


class Net(Model):
    """Has layers in a list, a shared one, one that is never called, and outputs in tuples."""

    def __init__(self):
        super().__init__()
        shared = L.Linear(8)
        self.blocks = [Block(shared), Block(shared)]
        self.unused = L.Linear(3)
        self.head = L.Linear(2)

    def forward(self, x):
        for block in self.blocks:
            x, _ = block(x)
        return self.head(x)


def test_paths_classes_shapes_and_parameters():
    """Each layer is there once, with the shapes for the batch; the numbers add up to those of the model."""
    model = Net()
    summary = model_summary(model, np.zeros((6, 8), np.float32))
    rows = {layer.path: (layer.kind, layer.output, layer.parameters) for layer in summary.layers}
    assert rows == {
        "": ("Net", (6, 2), 0),
        "blocks.0": ("Block", ((6, 8), (6, 8)), 12),
        "blocks.0.inner": ("Linear", (6, 8), 72),
        "blocks.0.shared": ("Linear", (6, 8), 72),
        "blocks.1": ("Block", ((6, 8), (6, 8)), 12),
        "blocks.1.inner": ("Linear", (6, 8), 72),
        "unused": ("Linear", None, 3),
        "head": ("Linear", (6, 2), 18),
    }
    params = [param.data for param in model.params() if param.data is not None]
    assert summary.parameters == sum(data.size for data in params)
    assert summary.memory == sum(data.nbytes for data in params)
    assert summary.trainable == summary.parameters - 14
    assert summary.output_memory == 4 * (3 * 6 * 8 + 6 * 2)


def test_the_table():
    """Columns are aligned, thousands separated, sizes in units."""
    table = str(model_summary(MLP((1000, 10)), np.zeros((100, 784), np.float32)))
    assert table.splitlines() == [
        "layer    class   output       parameters    memory",
        "(model)  MLP     (100, 10)",
        "l0       Linear  (100, 1000)     785,000   3.0 MiB",
        "l1       Linear  (100, 10)        10,010  39.1 KiB",
        "795,010 parameters (795,010 trainable), 3.0 MiB; outputs of the layers for this batch: 394.5 KiB",
    ]


def test_a_layer_that_is_not_called_says_so():
    """Without an output there is none to show."""
    assert "not called" in str(model_summary(Net(), np.zeros((6, 8), np.float32)))


def test_a_batch_of_a_loader_is_taken():
    """Of (x, t), x is the input, and t is left alone."""
    (batch,) = small_runs.batches(1)
    assert model_summary(MLP((4, 3)), batch).layers[0].output == (5, 3)


def test_the_model_is_left_as_it_was():
    """Also after an error, calls go where they went before, and neither gradients nor noise came about."""
    model = Sequential(L.Linear(4), L.Dropout(0.5), L.Linear(3))
    before = [dict(vars(layer)) for _, layer in model.layers_inside()]
    with pytest.raises(ShapeError):
        model_summary(model, np.float32(1))
    assert [dict(vars(layer)) for _, layer in model.layers_inside()] == before
    model_summary(model, np.zeros((2, 6), np.float32))
    assert all("forward" not in vars(layer) for layer in [model, *(layer for _, layer in model.layers_inside())])
    assert all(param.grad is None for param in model.params())


def test_a_forward_that_was_replaced_stays_replaced():
    """What a user has put into one layer is called, and is there afterwards."""
    model = MLP((4, 3))
    model.l0.forward = own = lambda x: F.relu(x)
    summary = model_summary(model, np.zeros((2, 6), np.float32))
    assert summary.layers[1].output == (2, 6)
    assert model.l0.forward is own


def test_it_is_printed_once_after_the_first_step(capsys):
    """The shapes are those of the first batch of training."""
    small_runs.trainer(ModelSummary()).fit(small_runs.batches(), small_runs.batches(1, size=2), epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["layer", "(model)", "l0", "l1", "43"]
    assert "(5, 4)" in lines[2]


def test_the_run_is_the_same_without_it():
    """Lazily sized layers and dropout get the same random numbers."""

    def ends_with(*callbacks):
        minitorch.seed(0)
        model = Sequential(L.Linear(4), L.Dropout(0.5), L.Linear(3))
        run = small_runs.trainer(*callbacks, model=model)
        run.fit(small_runs.batches(), epochs=1)
        return run.history, small_runs.weights(run)

    assert ends_with(ModelSummary()) == ends_with()


def test_a_step_that_fails_leaves_the_model_as_it_was():
    """After an error in the first step, layers are called directly again."""
    model = MLP((4, 3))
    fail = small_runs.at("on_after_backward", lambda trainer: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        small_runs.trainer(ModelSummary(), fail, model=model).fit(small_runs.batches(), epochs=1)
    assert all("forward" not in vars(layer) for layer in [model, *(layer for _, layer in model.layers_inside())])
