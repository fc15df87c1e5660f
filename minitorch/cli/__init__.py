"""The command line: `python -m minitorch`, or `minitorch` where its folder of scripts is on the path."""

import sys

from minitorch.cli.usage import usage_errors as usage_errors


def main() -> int:
    """Run the command that the arguments of the program name; returns the exit status.

    0: it did what it was asked to do; 1: it could not, or `diff` found a difference; 2: the arguments are wrong, or the
    extra `cli` is not installed; 130 and 143: training was interrupted, or terminated, after a last checkpoint.
    """
    try:
        import click  # noqa: F401  # to tell that it is missing from other errors of import
    except ImportError as error:
        sys.stderr.write(f"the command line cannot import click ({error}): pip install minitorch[cli]\n")
        return 2
    from minitorch.cli.commands import run

    return run(sys.argv[1:])
