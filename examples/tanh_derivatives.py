"""Draws the graph of the n-th derivative of tanh, and the derivatives themselves: gradients of gradients.

As in *Deep Learning from Scratch 3*, steps 34 and 35. The graph needs the program `dot` of Graphviz, the curves need
minitorch[plots].
"""

import argparse
from pathlib import Path

import numpy as np

import minitorch.functions as F
from minitorch import Variable
from minitorch.cli import usage_errors
from minitorch.utils import plot_dot_graph


def derivatives(x, n):
    """Tanh and its first `n` derivatives at `x`, as Variables whose graphs are kept."""
    y = F.tanh(x)
    found = [y]
    y.backward(create_graph=True)
    for _ in range(n):
        gx = x.grad
        found.append(gx)
        x.cleargrad()
        gx.backward(create_graph=True)
    x.cleargrad()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--order", type=int, default=3, help="how often to differentiate (3)")
    parser.add_argument("--graph", type=Path, help="draw the graph of the highest derivative into this file")
    parser.add_argument("--curves", type=Path, help="draw all derivatives from -5 to 5 into this PNG file")
    args = parser.parse_args()

    x = Variable(np.array(1.0), name="x")
    found = derivatives(x, args.order)
    for n, y in enumerate(found):
        y.name = f"gx{n}" if n else "y"
        print(f"derivative {n} of tanh at 1: {float(y):+.6f}")
    if args.graph:
        print(f"graph: {plot_dot_graph(found[-1], verbose=False, to_file=args.graph)}")
    if args.curves:
        from matplotlib.figure import Figure

        at = np.linspace(-5, 5, 200)
        figure = Figure(figsize=(7, 4), layout="constrained")
        plot = figure.add_subplot(xlabel="x", title="tanh and its derivatives")
        for n, y in enumerate(derivatives(Variable(at), args.order)):
            plot.plot(at, y.data, label=f"order {n}")
        plot.legend()
        figure.savefig(args.curves, dpi=120)
        print(f"curves: {args.curves}")


if __name__ == "__main__":
    with usage_errors():
        main()
