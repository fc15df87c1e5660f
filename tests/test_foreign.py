"""What users of other frameworks write is answered with what to write here."""

import copy
import inspect
import pickle
import re

import numpy as np
import pytest

import minitorch
from minitorch import Callback, DataLoader, Layer, Parameter, SeqDataLoader, Variable, foreign, models, optimizers
from minitorch import functions as F
from minitorch import layers as L
from minitorch.datasets import MNIST, Spiral
from minitorch.errors import ConfigError, DTypeError, ShapeError
from minitorch.optimizers import SGD, Adam, AdamW, Optimizer
from minitorch.trainer import callbacks
from minitorch.trainer.callbacks import Checkpoint, EarlyStopping, GradientClipping

ARGUMENTS = [
    (lambda: Adam(lr=0.001), "Adam takes no argument 'lr'; it is alpha here; it takes alpha, beta1, beta2, eps"),
    (
        lambda: SGD(lr=0.1, momentum=0.9),
        "SGD takes no argument 'momentum'; MomentumSGD(lr, momentum) has it; it takes lr",
    ),
    (lambda: SGD(0.1, 0.9), "SGD takes lr by position, and then 0.9 was given, one too many"),
    (lambda: L.Dropout(p=0.5), "Dropout takes no argument 'p'; it is dropout_ratio here; it takes dropout_ratio"),
    (
        lambda: L.Conv2d(8, 3, padding=1),
        "Conv2d takes no argument 'padding'; it is pad here; it takes out_channels, kernel_size, stride, pad, nobias, "
        "dtype, in_channels, dilation, groups, gain",
    ),
    (
        lambda: L.Linear(in_features=3, out_features=4),
        "Linear takes no argument 'in_features'; it is in_size here; it takes out_size, nobias, "
        "dtype, in_size, activation",
    ),
    (
        lambda: L.BatchNorm(momentum=0.1),
        "BatchNorm takes no argument 'momentum'; give decay=..., which is 1 - momentum of PyTorch; it takes decay, "
        "eps, dtype",
    ),
    (
        lambda: EarlyStopping("val_loss", verbose=True),
        "EarlyStopping takes no argument 'verbose'; add the callback ConsoleLogger(), which tells what happens; it "
        "takes monitor, patience, min_delta, mode, restore_best, check_finite, start",
    ),
    (
        lambda: Checkpoint("runs", save_top_k=3),
        "Checkpoint takes no argument 'save_top_k'; it is keep_best here; it takes folder, every, keep, monitor, mode, "
        "keep_best, background, overwrite",
    ),
    (
        lambda: DataLoader([1, 2], 2, gpu=True),
        "DataLoader takes no argument 'gpu'; call to_gpu(), or give the Trainer the callback DevicePlacement(); it "
        "takes dataset, batch_size, shuffle, drop_last, seed, num_workers",
    ),
    (
        lambda: SeqDataLoader([1, 2], 2, True),
        "SeqDataLoader takes dataset, batch_size by position, and then True was given; name it: num_workers=...",
    ),
    (
        lambda: GradientClipping(1.0),
        "GradientClipping takes nothing by position, and then 1.0 was given; name it: norm=..., value=...",
    ),
]


@pytest.mark.parametrize(("make", "text"), ARGUMENTS)
def test_unknown_arguments_are_answered_with_those_there_are(make, text):
    """The class, what was given, its name here, and all that is taken."""
    with pytest.raises(TypeError) as info:
        make()
    assert str(info.value) == text


def test_errors_inside_a_constructor_are_as_they_were():
    """Only arguments are answered for; a class that takes any is left alone."""

    class Net(Layer):
        def __init__(self, **sizes):
            super().__init__()
            self.sizes = len(sizes) + None

    with pytest.raises(TypeError, match="unsupported operand"):
        Net(lr=3)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'out_size'"):
        L.Linear()


@pytest.mark.parametrize("make", [lambda: AdamW(0.1), lambda: L.Linear(3, in_size=2), lambda: EarlyStopping("loss")])
def test_constructors_are_seen_and_copied_as_before(make):
    """Signature, text and class survive, also those of classes that attrs makes."""
    one = make()
    assert "args" not in inspect.signature(type(one)).parameters
    for other in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert type(other) is type(one)
        assert repr(other) == repr(one) or isinstance(one, Optimizer)


X, T = np.zeros((300, 2), np.float32), np.zeros(300, np.int64)
VALUES = [
    (
        lambda: DataLoader(X, T, 20),
        DTypeError,
        "DataLoader: batch_size is an array of shape (300,); it must be an integer: give "
        "DataLoader(ArrayDataset(x, t), 20)",
    ),
    (
        lambda: DataLoader(X, T),
        DTypeError,
        "DataLoader: batch_size is an array of shape (300,); it must be an integer: give "
        "DataLoader(ArrayDataset(x, t), batch_size)",
    ),
    (
        lambda: MNIST("test"),
        ConfigError,
        "MNIST: train is 'test'; it must be True, for training, or False, for testing (a folder is named by root=...)",
    ),
    (lambda: Spiral(2), ConfigError, "Spiral: train is 2; it must be True, for training, or False, for testing"),
    (
        lambda: L.Linear(6, 3),
        ConfigError,
        "Linear: nobias is 3; it must be True or False. Linear(out_size) takes the size of the input from the first "
        "batch, or as in_size=...",
    ),
    (
        lambda: L.Conv2d(1, 16, 3, 1, 1),
        ConfigError,
        "Conv2d: nobias is 1; it must be True or False. Conv2d(out_channels, kernel_size, stride, pad) takes the "
        "channels of the input from the first batch, or as in_channels=...",
    ),
    (
        lambda: L.Conv2d(1, 16, 3)(np.zeros((2, 1, 12, 12), np.float32)),
        UserWarning,
        "Conv2d(1, 16, 3) makes kernels of 16x16 pixels, and moves them by 3; the order is Conv2d(out_channels, "
        "kernel_size, stride, pad). For 1 channels in and 16 out write Conv2d(16, 3); if 16x16 is meant, "
        "kernel_size=(16, 16)",
    ),
    (
        lambda: L.Conv2d(1, 6, 5)(np.zeros((2, 1, 5, 5), np.float32)),
        ShapeError,
        "Conv2d: a kernel of (6, 6) reaches over (6, 6) pixels and is larger than the images of x (2, 1, 5, 5) with "
        "pad (0, 0); use more pad, a smaller kernel or larger images; the order is Conv2d(out_channels, kernel_size, "
        "stride, pad)",
    ),
    (
        lambda: L.LSTM(10, 32)(np.zeros((4, 10), np.float32)),
        ShapeError,
        "LSTM: x has shape (4, 10), and in_size is 32; the order is LSTM(hidden_size, in_size), and in_size may be "
        "left out",
    ),
    (
        lambda: L.LSTM(10, 32).sequence(np.zeros((7, 4, 10), np.float32)),
        ShapeError,
        "LSTM: x has shape (7, 4, 10), and in_size is 32; the order is LSTM(hidden_size, in_size), and in_size may be "
        "left out",
    ),
    (
        lambda: L.GRU(10, 32, 2),
        ConfigError,
        "GRU: dtype is 2; the order is GRU(hidden_size, in_size, dtype), for one layer each",
    ),
    (
        lambda: L.BatchNorm(64),
        ConfigError,
        "BatchNorm: decay 64 must be from 0 to 1, and eps 2e-05 not negative; BatchNorm(decay, eps) takes the number "
        "of channels from the first batch",
    ),
]


@pytest.mark.parametrize(("make", "error", "text"), VALUES)
def test_arguments_in_the_order_of_other_frameworks_are_told(make, error, text):
    """What PyTorch takes at that place is refused, or warned of where it could be meant, with what to give here."""
    with pytest.raises(error) as info:
        make()
    assert str(info.value) == text


@pytest.mark.parametrize(
    "arguments",
    [(64, 3, 1, 1), (64, 7, 2, 3), (32, 8, 4), (96, 11, 4), (768, 16, 16), (64, 31, 1, 15), (1, (16, 16), 3)],
)
def test_kernels_that_are_meant_are_made_without_a_word(arguments):
    """Those of VGG, ResNet, DQN, AlexNet, of patches, of large kernels, and one that is said to be meant."""
    L.Conv2d(*arguments)


ATTRIBUTES = [
    (lambda: SGD().zero_grad(), "'SGD' object has no attribute 'zero_grad'; call cleargrads() of the model"),
    (lambda: SGD().step(), "'SGD' object has no attribute 'step'; call update()"),
    (lambda: L.Linear(3).parameters(), "'Linear' object has no attribute 'parameters'; call params()"),
    (
        lambda: L.Linear(3).eval(),
        "'Linear' object has no attribute 'eval'; layers train unless told otherwise: test within "
        "`with minitorch.test_mode():`",
    ),
    (
        lambda: Variable(X).detach(),
        "'Variable' object has no attribute 'detach'; make a constant of its array: Variable(x.data, "
        "requires_grad=False)",
    ),
    (lambda: Variable(X).view(-1), "'Variable' object has no attribute 'view'; call reshape(shape)"),
    (
        lambda: F.cross_entropy(X, T),
        "module 'minitorch.functions' has no attribute 'cross_entropy'; it is softmax_cross_entropy(x, t)",
    ),
    (lambda: F.batch_nrom, "module 'minitorch.functions' has no attribute 'batch_nrom'; it is batch_norm"),
    (
        lambda: Variable(X).creator,
        "'Variable' object has no attribute 'creator'; it is node, how the Variable was made",
    ),
    (
        lambda: DataLoader([1, 2], 2).next(),
        "'DataLoader' object has no attribute 'next'; call next() of iter(loader), which begins a pass",
    ),
    (
        lambda: SeqDataLoader([1, 2], 2).reset(),
        "'SeqDataLoader' object has no attribute 'reset'; each pass is an iterator of its own: iter(loader) begins one",
    ),
    (lambda: L.Linear(3).nothing, "'Linear' object has no attribute 'nothing'"),
    (lambda: Variable(X).nothing, "'Variable' object has no attribute 'nothing'"),
    (lambda: F.nothing, "module 'minitorch.functions' has no attribute 'nothing'"),
]


@pytest.mark.parametrize(("use", "text"), ATTRIBUTES)
def test_names_of_other_frameworks_are_answered_with_those_here(use, text):
    """The AttributeError is Python's own, with the remedy where the name is a known one."""
    with pytest.raises(AttributeError) as info:
        use()
    assert str(info.value) == text
    assert info.value.name == text.split("'")[3]


def test_no_foreign_name_is_one_of_ours():
    """What is listed as missing is missing, in all subclasses too."""
    for things, names in (
        ([getattr(layers, name) for layers in (L, models) for name in layers.__all__], foreign.LAYER_ATTRIBUTES),
        ([getattr(optimizers, name) for name in optimizers.__all__], foreign.OPTIMIZER_ATTRIBUTES),
        ([Variable, Parameter], foreign.VARIABLE_ATTRIBUTES),
        ([DataLoader, SeqDataLoader], foreign.LOADER_ATTRIBUTES),
    ):
        assert [(thing, name) for thing in things for name in names if hasattr(thing, name)] == []
    assert set(F.__all__) & set(foreign.FUNCTIONS) == set()


def test_a_foreign_name_may_be_used_by_a_subclass():
    """A layer may have an attribute or a method of such a name, and nobody is shown one that is not there."""

    class Net(Layer):
        def __init__(self):
            super().__init__()
            self.bias = 3

        def step(self):
            return 4

    net = copy.deepcopy(Net())
    assert (net.bias, net.step()) == (3, 4)
    assert {"bias", "step"} <= set(dir(net))
    assert not hasattr(net, "parameters")
    assert not {"parameters", "detach"} & {*dir(net), *dir(Variable(X))}


TABLES = {name: table for name, table in vars(foreign).items() if isinstance(table, dict) and name.isupper()}
REMEDIES = [(table, text) for table in sorted({*TABLES} - {"RENAMED"}) for text in TABLES[table].values()]


@pytest.mark.parametrize(("table", "text"), REMEDIES)
def test_remedies_name_what_there_is(table, text):
    """The classes, functions and methods that are to be called."""
    for called in re.findall(r"\b([A-Z]\w+)\(", text):
        found = [getattr(place, called) for place in (minitorch, optimizers, callbacks) if hasattr(place, called)]
        assert len(found) == 1, called
        assert issubclass(found[0], Callback) == ("callback" in text)
    for function in re.findall(r"it is (\w+)" if table == "FUNCTIONS" else r"\bF\.(\w+)", text):
        assert function in F.__all__
    for method in re.findall(r"^call (\w+)\(", text):
        assert method == "next" or any(hasattr(kind, method) for kind in (Layer, Optimizer, Variable))


def test_new_names_are_those_of_some_argument():
    """What an argument is said to be called here is an argument of a class."""
    kinds = (optimizers, L, callbacks)
    classes = [thing for place in kinds for name in place.__all__ if isinstance(thing := getattr(place, name), type)]
    taken = {name for thing in classes for name in inspect.signature(thing.__init__).parameters}
    assert {name for names in foreign.RENAMED.values() for name in names} - taken == set()
