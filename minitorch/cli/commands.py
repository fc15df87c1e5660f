"""The commands, their arguments and options."""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import click

from minitorch import random
from minitorch.cli.checkpoint_table import checkpoint_table
from minitorch.cli.doctor import examination
from minitorch.cli.run_diff import run_diff
from minitorch.cli.trainer_class import trainer_class
from minitorch.cli.usage import error_notes
from minitorch.errors import MinitorchError
from minitorch.serialize.atomic import replacing
from minitorch.trainer import Trainer
from minitorch.trainer.callbacks import model_summary
from minitorch.trainer.public_names import make, near
from minitorch.trainer.report import report_page
from minitorch.trainer.run_record import versions
from minitorch.trainer.trainer_config import TrainerConfig

EXIT = {"interrupted": 130, "terminated": 143}  # as a shell tells of SIGINT and SIGTERM
CONFIG = click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


class Commands(click.Group):
    """Answers a command that is not there with those that may have been meant."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command that `args` begin with."""
        if args and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"no command is named {args[0]!r}; {near(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(versions()["minitorch"], prog_name="minitorch")
def commands() -> None:
    """Train networks and look at runs."""


@commands.command()
@CONFIG
@click.option("--folder", metavar="DIR", help="Where the run gets a new folder, instead of that of CONFIG.")
@click.option("--resume", metavar="auto|PATH", help="Go on with the newest run, or from a checkpoint.")
@click.option("--epochs", type=int, help="Epochs in all, instead of the end that CONFIG gives.")
@click.option("--seed", type=int, help="Of all random numbers, instead of that of CONFIG.")
@click.option("--trainer", metavar="MODULE:CLASS", help="A subclass of Trainer to train with; CONFIG can name none.")
@click.option("--explain", is_flag=True, help="Print what would run, in which order, and train nothing.")
def train(
    config: Path,
    folder: str | None,
    resume: str | None,
    epochs: int | None,
    seed: int | None,
    trainer: str | None,
    explain: bool,
) -> int:
    """Train as CONFIG, a TOML file, says.

    examples/mnist.toml of the repository shows its form.
    """
    changes: dict[str, Any] = {name: value for name, value in (("folder", folder), ("seed", seed)) if value is not None}
    if epochs is not None:
        changes |= {"epochs": epochs, "steps": None, "seconds": None}
    settings = attrs.evolve(TrainerConfig.read(config), **changes)
    kind = Trainer if trainer is None else trainer_class(trainer)
    if explain:
        click.echo(settings.trainer(Path(settings.folder) / "NEW", kind=kind).explain())
        return 0
    return EXIT.get(settings.fit(resume, kind).status, 0)


@commands.command()
@CONFIG
def summary(config: Path) -> None:
    """Print the layers of a model.

    They are those of the model of CONFIG, with the shapes of their outputs for one batch of its data.
    """
    settings = TrainerConfig.read(config)
    random.seed(settings.seed)
    loader, _ = settings.loaders()
    click.echo(str(model_summary(make("model", settings.model, "model"), next(iter(loader)))))


@commands.command()
@click.argument("folder", metavar="RUN", type=FOLDER)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The file; by default RUN/report.html.")
def report(folder: Path, out: Path | None) -> None:
    """Write the report of a run.

    RUN is the folder of a run, under way or over. The report is one HTML file that needs no network.
    """
    content = report_page(folder).encode()
    path = folder / "report.html" if out is None else out
    with replacing(path, len(content)) as file:
        file.write(content)
    click.echo(str(path))


@commands.command()
@click.argument("run_a", type=FOLDER)
@click.argument("run_b", type=FOLDER)
def diff(run_a: Path, run_b: Path) -> int:
    """Print in what two runs differ.

    Compared are settings, versions, machine, and results. RUN_A and RUN_B are folders of runs. The exit status is 1
    where they differ.
    """
    lines = run_diff(run_a, run_b)
    click.echo("\n".join(lines) if lines else "no difference")
    return int(bool(lines))


@commands.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--all", "all_arrays", is_flag=True, help="List all arrays, not only the first.")
def checkpoint(file: Path, all_arrays: bool) -> None:
    """Print and verify a checkpoint.

    FILE is a checkpoint or a file of weights, of which every byte is verified. For the folder of a run, each of its
    checkpoints is verified.
    """
    table, damaged = checkpoint_table(file, None if all_arrays else 12)
    click.echo(table)
    if damaged:
        raise damaged


@commands.command()
def doctor() -> int:
    """Print what works on this machine.

    Where something does not work, what can be done about it stands below. The exit status is 1 where something that
    is needed does not.
    """
    lines, well = examination()
    click.echo("\n".join(lines))
    return int(not well)


def run(arguments: Sequence[str]) -> int:
    """Run a command; errors of minitorch are printed in one line and give 1, an end at once says what is left."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return int(commands.main(list(arguments), prog_name="minitorch", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:  # click makes its own of KeyboardInterrupt
        interrupt = error.__context__ if isinstance(error, click.Abort) else error
        notes = error_notes(interrupt or error)
        sys.stderr.write("\n".join(["interrupted", *notes]) + "\n")
        return EXIT["interrupted"]
    except MinitorchError as error:
        sys.stderr.write("\n".join([f"error: {error}", *[f"note: {note}" for note in error_notes(error)]]) + "\n")
        return 1


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    """Print a warning without the line of a program that gave it: here the user has written none."""
    sys.stderr.write(f"warning: {message}\n")
