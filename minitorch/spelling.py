"""What a misspelt name may have meant."""

from collections.abc import Iterable


def similar(name: str, known: Iterable[str], most: int = 1, *, cutoff: float = 0.6) -> list[str]:
    """Those of `known` that `name` may have meant, the nearest first, if they are alike by `cutoff`, from 0 to 1."""
    from difflib import get_close_matches  # here, since programs without a mistake do without it

    return get_close_matches(name, list(known), most, cutoff)
