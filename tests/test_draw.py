"""Pictures of graphs."""

import shutil

import numpy as np
import pytest

import minitorch.functions as F
from minitorch import Variable
from minitorch.errors import ConfigError, DTypeError, GraphError, MissingExtraError
from minitorch.utils import get_dot_graph, plot_dot_graph


@pytest.fixture
def y():
    x0 = Variable(np.array(1.0), name="x0")
    x1 = Variable(np.array([[1.0, 2.0]]), name='the "second"')
    return F.sin(x0 + x1) * 2.0


def test_operations_and_variables_are_linked(y):
    """Every operation is a box, every Variable an ellipse, and arrows follow the computation."""
    text = get_dot_graph(y, verbose=False)
    for name in ("add", "sin", "mul"):
        assert f'[label="{name}", color=lightblue' in text
    assert '[label="x0"' in text
    assert '[label="the \\"second\\""' in text
    assert text.count("->") == 8


def test_verbose_says_shapes_and_constants(y):
    """With verbose there are shapes, dtypes and the values of numbers."""
    text = get_dot_graph(y)
    assert "x0: () float64" in text
    assert "(1, 2) float64" in text
    assert '[label="2.0", color=lightgray' in text


def test_a_kept_graph_can_be_drawn_after_backward():
    """The graph of a gradient is drawn like any other."""
    x = Variable(np.array(1.0), name="x")
    F.tanh(x).backward(create_graph=True)
    assert 'label="tanh"' in get_dot_graph(x.grad)


def test_a_constant_has_no_graph():
    """Nothing leads to a constant, and the error says so."""
    with pytest.raises(GraphError, match="this Variable is a constant"):
        get_dot_graph(Variable(np.array(1.0), requires_grad=False))


def test_text_needs_no_graphviz(y, tmp_path):
    """A .dot file is written without the program."""
    assert plot_dot_graph(y, to_file=tmp_path / "g.dot").read_text() == get_dot_graph(y)


def test_without_graphviz_the_error_says_what_to_install(y, tmp_path, monkeypatch):
    """The error names the program and the way without it."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"install Graphviz .* to_file='graph\.dot'"):
        plot_dot_graph(y, to_file=tmp_path / "g.png")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_a_picture_is_written(y, tmp_path):
    """The ending chooses the format, and one that Graphviz does not know is an error."""
    assert plot_dot_graph(y, to_file=tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match="could not write"):
        plot_dot_graph(y, to_file=tmp_path / "g.nonsense")


def test_a_name_without_an_ending_is_refused(y, tmp_path):
    """The ending says the format, and without one there is no picture to guess."""
    with pytest.raises(
        ConfigError, match=r"^plot_dot_graph: to_file '.*graph' has no ending to say the format; add one, as .png$"
    ):
        plot_dot_graph(y, to_file=tmp_path / "graph")


def test_an_array_has_no_graph():
    """Only Variables know where they come from."""
    with pytest.raises(DTypeError, match=r"^get_dot_graph: got ndarray; give a Variable, whose graph is drawn$"):
        get_dot_graph(np.ones(3))
