"""ImageFolder and ImageNet: images in files, one folder a class, each opened when it is asked for."""

import ast
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minitorch.datasets.dataset import Dataset
from minitorch.datasets.download import get_file
from minitorch.errors import DataError, MissingExtraError
from minitorch.transforms import Compose, Normalize, ToArray

Image = Any  # a Pillow image

ARRAY_0_TO_1 = Compose([ToArray(), Normalize(0.0, 255.0)])
ENDINGS = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))

_LABELS = (
    "https://gist.githubusercontent.com/yrevar/942d3a0ac09ec9e5eb3a/raw/"
    "238f720ff059c1f82f368259d1ca4ffa5dd8f9f5/imagenet1000_clsidx_to_labels.txt"
)


class ImageFolder(Dataset):
    """The images in the folders within `root`, each folder a class: `root/cat/1.jpg`, `root/dog/any/2.png`.

    t is the number of the class, its place in `classes`, the sorted names of the folders. Before `transform` an image
    is a Pillow image in RGB, so that `Resize` and the like come first; by default x is float32 of shape
    (3, height, width), from 0 to 1, and a batch needs images of one size. `paths` has the file of each sample. Files
    whose ending is not that of an image, and names that begin with a dot, are passed over.

    Args:
        root: the folder of folders.
        transform: of a Pillow image; None passes it on.
        target_transform: of the number of the class.

    Raises:
        DataError: `root` is no folder, has no folder in it, or one without images; later, an image cannot be read.
        MissingExtraError: Pillow is not installed.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Callable[[Any], Any] | None = ARRAY_0_TO_1,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.root = Path(root).expanduser()
        super().__init__(True, transform, target_transform)

    def prepare(self) -> None:
        """List the files."""
        owner = type(self).__name__
        _pillow(owner)  # raises now, and not at the first image
        if not self.root.is_dir():
            raise DataError(f"{owner}: {self.root} is no folder; give one that has a folder of images for each class")
        folders = sorted(p for p in self.root.iterdir() if p.is_dir() and not p.name.startswith("."))
        if not folders:
            raise DataError(f"{owner}: there is no folder in {self.root}; put the images of each class into one")
        self.classes = [folder.name for folder in folders]
        files = [_images_in(folder) for folder in folders]
        for folder, found in zip(folders, files, strict=True):
            if not found:
                raise DataError(
                    f"{owner}: there is no image in {folder}; put some there ({' '.join(sorted(ENDINGS))}) or delete it"
                )
        self.paths = [path for found in files for path in found]
        self.data = _Opened(self.paths, owner)
        self.label = np.repeat(np.arange(len(files)), [len(found) for found in files])


class ImageNet(ImageFolder):
    """The images of ImageNet's 1,000 classes, in folders named for their WordNet ids: `root/n01440764/*.JPEG`.

    The sorted ids are numbered as `labels` has them, and as pretrained networks count. `ImageFolder` reads a part of
    the classes. The images are not downloaded: ask for them at https://image-net.org.

    Raises:
        DataError: besides those of `ImageFolder`: there are not 1,000 classes.
    """

    def prepare(self) -> None:
        """List the files."""
        super().prepare()
        if len(self.classes) != 1000:
            raise DataError(
                f"ImageNet: {self.root} has {len(self.classes)} folders, expected 1000, one for each class; "
                "ImageFolder reads a part of them"
            )

    @staticmethod
    def labels() -> dict[int, str]:
        """The name of each class, 0 to 999, from a published list that is downloaded at the first call.

        Raises:
            DataError: the list is damaged.
            DownloadError: it could not be downloaded.
        """
        path = get_file(_LABELS)
        try:
            labels = ast.literal_eval(path.read_text("utf-8"))  # values alone: nothing in the file is executed
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            labels = None
        if not (
            isinstance(labels, dict)
            and list(labels) == list(range(1000))
            and all(isinstance(name, str) for name in labels.values())
        ):
            raise DataError(f"{path}: no list of the names of classes 0 to 999; delete the file and run again")
        return labels


class _Opened(Sequence[Image]):
    """The images at `paths`, each read from its file when it is asked for."""

    def __init__(self, paths: list[Path], owner: str) -> None:
        self._paths = paths
        self._owner = owner

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: Any) -> Image:
        path = self._paths[index]
        pillow = _pillow(self._owner)
        try:
            with pillow.open(path) as image:
                return image.convert("RGB")
        except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
            raise DataError(f"{path}: cannot be read as an image ({error}); repair or delete the file") from error


def _images_in(folder: Path) -> list[Path]:
    """The files of images in `folder` and the folders within it, sorted."""
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and not path.name.startswith(".")
    )


def _pillow(owner: str) -> Any:
    """Pillow's module of images."""
    try:
        from PIL import Image as pillow  # noqa: N813  # it is a module
    except ImportError as error:
        raise MissingExtraError(f"{owner} reads images with Pillow: pip install minitorch[images]") from error
    return pillow
