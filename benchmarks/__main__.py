"""The command line of `scripts/bench`: which workloads to run, how often, and where the tables go."""

import argparse
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks import report, runner, workload

RESULTS = Path(__file__).parent / "results"
TRIALS = Path(__file__).parents[1] / "runs" / "benchmarks"
ROUNDS = 5


def main() -> int:
    """Run the workloads; returns 1 if somebody failed or did not do the same work as the others."""
    args = _arguments()
    out = args.out or (TRIALS if args.quick or args.only else RESULTS)
    command = shlex.join(["scripts/bench", *sys.argv[1:]])
    fair = True
    for name in args.workload or workload.names():
        results = runner.run(name, rounds=args.rounds, quick=args.quick, only=args.only, say=_say)
        print(report.write(results, out, command))
        _say(f"written to {out / results.name}.md and .json")
        fair = fair and results.fair
    return 0 if fair else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measure minitorch beside its peers; those not installed are skipped."
    )
    parser.add_argument(
        "workload", nargs="*", help=f"all by default: {', '.join(workload.names())}; or a module that defines one"
    )
    parser.add_argument("--rounds", type=int, help=f"that count, after a warm-up ({ROUNDS}; 2 with --quick)")
    parser.add_argument("--quick", action="store_true", help="a smoke test on small sizes; its times mean nothing")
    parser.add_argument("--only", nargs="+", default=[], metavar="TEXT", help="contestants with this in their name")
    parser.add_argument(
        "--out", type=Path, help="folder of the tables (benchmarks/results; runs/benchmarks with --quick or --only)"
    )
    args = parser.parse_args()
    args.rounds = (2 if args.quick else ROUNDS) if args.rounds is None else args.rounds
    if args.rounds < 1:
        parser.error(f"--rounds is {args.rounds}; it must be at least 1")
    unknown = [name for name in args.workload if name not in workload.names() and find_spec(name) is None]
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; there is {', '.join(workload.names())}")
    return args


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
