"""Weights that others trained: DeZero's published files, downloaded once."""

from typing import Any

import numpy as np

from minitorch.datasets.download import get_file
from minitorch.errors import CheckpointError, StateError

Array = Any

DEZERO_URL = "https://github.com/koki0702/dezero-models/releases/download/v0.1/{}.npz"


def dezero_weights(name: str) -> dict[str, Array]:
    """The arrays of DeZero's published file `name`, such as "vgg16", by the paths that Parameters have here.

    The file is downloaded at the first call and kept in the user's cache.

    Raises:
        DownloadError: the file is not there and cannot be downloaded; the message says where to put it.
        CheckpointError: the file is damaged.
    """
    from zipfile import BadZipFile  # here, since most programs read no weights of DeZero

    path = get_file(DEZERO_URL.format(name))
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {key.replace("/", "."): arrays[key] for key in arrays.files}
    except (OSError, EOFError, ValueError, AttributeError, TypeError, BadZipFile) as error:
        raise CheckpointError(f"{path} is no whole .npz file of arrays ({error}); delete it and run again") from error


def check_classes(who: str, classes: int) -> None:
    """Raise StateError unless a model has the 1000 classes of ImageNet that published weights are for."""
    if classes != 1000:
        raise StateError(
            f"{who}: pretrained weights are for the 1000 classes of ImageNet, not {classes}; make the model with 1000 "
            "and replace its last layer"
        )
