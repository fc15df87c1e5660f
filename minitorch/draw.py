"""Pictures of computational graphs, drawn by Graphviz."""

import itertools
from os import PathLike
from pathlib import Path
from typing import Any

from minitorch.autograd.node import Node
from minitorch.errors import ConfigError, DTypeError, GraphError, MissingExtraError
from minitorch.variable import Variable


def get_dot_graph(output: Variable, verbose: bool = True) -> str:
    """The graph behind `output` in Graphviz's language: ellipses are Variables, boxes are operations.

    Args:
        output: a Variable whose graph has not been freed by a backward, or was kept by it.
        verbose: show shapes and dtypes too, and the values of constant numbers.

    Raises:
        GraphError: `output` is a constant; nothing leads to it.
        DTypeError: `output` is no Variable.
    """
    if not isinstance(output, Variable):
        raise DTypeError(f"get_dot_graph: got {type(output).__name__}; give a Variable, whose graph is drawn")
    if output.node is None:
        raise GraphError("get_dot_graph: this Variable is a constant; compute it from a Variable, outside no_grad")
    numbers = itertools.count()
    ids: dict[Node, int] = {output.node: next(numbers)}
    lines = [_ellipse(0, output.node, output.data, verbose)]
    stack = [output.node]
    while stack:
        node = stack.pop()
        if node.op is None:
            continue
        box = next(numbers)
        lines.append(f'{box} [label="{node.op.name}", color=lightblue, style=filled, shape=box]')
        lines.append(f"{box} -> {ids[node]}")
        for parent, arg in itertools.zip_longest(node.parents, node.args or ()):
            if parent is None:
                if arg is not None:
                    constant = next(numbers)
                    lines += [_constant(constant, arg, verbose), f"{constant} -> {box}"]
                continue
            if parent not in ids:
                ids[parent] = next(numbers)
                lines.append(_ellipse(ids[parent], parent, arg, verbose))
                stack.append(parent)
            lines.append(f"{ids[parent]} -> {box}")
    return "digraph g {\n" + "\n".join(lines) + "\n}\n"


def plot_dot_graph(output: Variable, verbose: bool = True, to_file: str | PathLike[str] = "graph.png") -> Path:
    """Draw the graph behind `output` into a file, whose ending chooses the format: .png, .svg, .pdf, or .dot for text.

    Args:
        output: a Variable whose graph has not been freed by a backward, or was kept by it.
        verbose: show shapes and dtypes too, and the values of constant numbers.
        to_file: the file.

    Returns:
        The path of the file.

    Raises:
        MissingExtraError: the program `dot` of Graphviz is not installed.
        ConfigError: the name has no ending, or Graphviz does not know the format.
    """
    path = Path(to_file)
    if not path.suffix:
        raise ConfigError(f"plot_dot_graph: to_file {str(to_file)!r} has no ending to say the format; add one, as .png")
    text = get_dot_graph(output, verbose)
    if path.suffix == ".dot":
        path.write_text(text)
        return path
    import shutil  # here, since most programs draw no graph
    import subprocess

    program = shutil.which("dot")
    if program is None:
        raise MissingExtraError(
            "plot_dot_graph: the program `dot` is not there; install Graphviz with the system's package manager (such "
            "as `apt install graphviz`), or write the text alone with to_file='graph.dot'"
        )
    done = subprocess.run(
        [program, f"-T{path.suffix[1:]}", "-o", str(path)], input=text, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise ConfigError(f"plot_dot_graph: Graphviz could not write {path}: {done.stderr.strip()}")
    return path


def _ellipse(number: int, node: Node, data: Any, verbose: bool) -> str:
    parts = [node.name] if node.name else []
    if verbose and hasattr(data, "shape"):
        parts.append(f"{tuple(data.shape)} {data.dtype}")
    return f'{number} [label="{_quoted(": ".join(parts))}", color=orange, style=filled]'


def _constant(number: int, arg: Any, verbose: bool) -> str:
    label = ""
    if verbose:
        label = f"{tuple(arg.shape)} {arg.dtype}" if hasattr(arg, "shape") else repr(arg)
    return f'{number} [label="{_quoted(label)}", color=lightgray, style=filled]'


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
