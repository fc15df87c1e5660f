"""Strict loading: the keys of a state must be those of the thing that loads it."""

from collections.abc import Iterable

from minitorch.errors import StateError
from minitorch.spelling import similar

_SHOWN = 10


SAME = "Load a state of the same structure, or rename its keys"


def check_keys(what: str, expected: Iterable[str], found: Iterable[str], remedy: str = SAME) -> None:
    """Return only if both hold the same keys.

    Args:
        what: the thing that loads, for the message, such as "MLP.load_state_dict".
        expected: the keys that the thing has.
        found: the keys of the state given.
        remedy: the last sentence of the message.

    Raises:
        StateError: lists the keys that are missing and unexpected, sorted, and pairs what looks like a misspelling.
    """
    wanted, given = set(expected), set(found)
    missing, unexpected = sorted(wanted - given), sorted(given - wanted)
    problems = []
    if missing:
        problems.append(f"missing {_listed([_hinted(key, unexpected) for key in missing[:_SHOWN]], len(missing))}")
    if unexpected:
        problems.append(f"unexpected {_listed(unexpected[:_SHOWN], len(unexpected))}")
    if problems:
        raise StateError(f"{what}: {'; '.join(problems)}. {remedy}")


def _hinted(key: str, unexpected: list[str]) -> str:
    near = similar(key, unexpected, cutoff=0.7)
    return f"{key} (is it {near[0]}?)" if near else key


def _listed(shown: list[str], total: int) -> str:
    more = f" ... and {total - len(shown)} more" if total > len(shown) else ""
    return f"({total}): {', '.join(shown)}{more}"
