"""Groups: options of their own for those Parameters whose paths match a pattern."""

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from minitorch.errors import ConfigError
from minitorch.spelling import similar

Options = dict[str, Any]
Groups = dict[str, Options]  # by pattern


def matching(groups: Groups, path: str) -> tuple[str, ...]:
    """The patterns that match `path`, in the order of `groups`. `*` stands for any characters, dots included."""
    return tuple([pattern for pattern in groups if fnmatchcase(path, pattern)])


def merged(groups: Groups, patterns: Iterable[str], defaults: Options) -> Options:
    """The options of a Parameter that `patterns` match: the last pattern that names an option decides it.

    The learning rate is that of `defaults` times the option `lr_scale`.
    """
    options = dict(defaults)
    for pattern in patterns:
        options.update(groups[pattern])
    if "lr_scale" in options:
        options["lr"] *= options.pop("lr_scale")
    return options


def make_relative(owner: str, options: Options, lr: float) -> None:
    """Replace the option `lr` by `lr_scale`, its share of the learning rate `lr` of the optimizer.

    Raises:
        ConfigError: both are given, or the share of 0 is not known.
    """
    if "lr_scale" in options:
        raise ConfigError(f"{owner} gives both lr and lr_scale; lr is kept as lr_scale, so give one of them")
    if not lr:
        raise ConfigError(
            f"{owner} gives lr, but the optimizer's own lr is 0, so that its share of that is not known; give lr_scale"
        )
    options["lr_scale"] = options.pop("lr") / lr


def checked(
    owner: str, groups: Mapping[str, Mapping[str, Any]], names: Collection[str], paths: Iterable[str]
) -> Groups:
    """A copy of `groups` as a user gave them.

    Args:
        owner: who asks, for the message.
        groups: by pattern, options by name.
        names: the options there are.
        paths: those of all Parameters.

    Raises:
        ConfigError: it is no dict of dicts, or there is no such option, or a pattern matches no path; the message names
            similar ones.
    """
    if not isinstance(groups, Mapping):
        raise ConfigError(f"{owner}: groups is {groups!r}; give a dict of dicts such as {{'*.b': {{'lr_scale': 0.1}}}}")
    paths = list(paths)
    for pattern, options in groups.items():
        if not isinstance(options, Mapping):
            raise ConfigError(f"{owner}: groups[{pattern!r}] is {options!r}; give a dict such as {{'lr_scale': 0.1}}")
        for name in options:
            if name not in names:
                raise ConfigError(
                    f"{owner}: groups[{pattern!r}] has no option {name!r}{hint(name, names)}; the options are "
                    f"{', '.join(names) or 'none'}"
                )
        if not any(fnmatchcase(path, pattern) for path in paths):
            raise ConfigError(
                f"{owner}: groups[{pattern!r}] matches no Parameter{hint(pattern, paths)}; the paths are "
                f"{listed(paths)}"
            )
    return {pattern: dict(options) for pattern, options in groups.items()}


def hint(name: str, known: Iterable[str]) -> str:
    """What of `known` a misspelt `name` may have meant, as part of a message; nothing where nothing is like it."""
    near = similar(name, known, 3, cutoff=0.5)
    return f" (is it {' or '.join(near)}?)" if near else ""


def listed(paths: list[str], most: int = 10) -> str:
    """The first few of `paths`, and how many more there are."""
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + more
