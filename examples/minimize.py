"""Finds minima of functions: the Rosenbrock function by gradient descent, x^4 - 2x^2 by Newton's method.

As in *Deep Learning from Scratch 3*, steps 28, 29 and 33. Newton's method differentiates twice.
"""

import argparse

import numpy as np

from minitorch import Variable
from minitorch.cli import usage_errors


def rosenbrock(x0, x1):
    return 100 * (x1 - x0**2) ** 2 + (x0 - 1) ** 2


def gradient_descent(iterations, lr):
    """Go down the gradient of the Rosenbrock function from (0, 2); its minimum is at (1, 1)."""
    x0, x1 = Variable(np.array(0.0)), Variable(np.array(2.0))
    for i in range(iterations):
        if i % max(1, iterations // 10) == 0:
            print(f"  {i:>6}: ({float(x0):.6f}, {float(x1):.6f})")
        y = rosenbrock(x0, x1)
        x0.cleargrad()
        x1.cleargrad()
        y.backward()
        x0.data -= lr * x0.grad.data
        x1.data -= lr * x1.grad.data
    print(f"  {iterations:>6}: ({float(x0):.6f}, {float(x1):.6f})")


def newton(iterations):
    """Step by the first derivative over the second from x = 2; the minimum is at 1."""
    x = Variable(np.array(2.0))
    for i in range(iterations):
        print(f"  {i:>6}: {float(x):.12f}")
        y = x**4 - 2 * x**2
        x.cleargrad()
        y.backward(create_graph=True)
        gx = x.grad
        x.cleargrad()
        gx.backward()
        x.data -= gx.data / x.grad.data
        x.cleargrad()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=10000, help="of gradient descent (10000)")
    parser.add_argument("--lr", type=float, default=0.001, help="of gradient descent (0.001)")
    parser.add_argument("--newton-iterations", type=int, default=8, help="of Newton's method (8)")
    args = parser.parse_args()
    print("Rosenbrock function, gradient descent:")
    gradient_descent(args.iterations, args.lr)
    print("x^4 - 2x^2, Newton's method:")
    newton(args.newton_iterations)


if __name__ == "__main__":
    with usage_errors():
        main()
