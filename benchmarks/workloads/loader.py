"""Loaders alone: a data set of arrays, and one that decodes and augments an image for each sample."""

import io
from collections.abc import Callable, Iterable
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.race import Race
from benchmarks.workload import Contestant, Target, Workload
from minitorch import DataLoader
from minitorch.datasets import ArrayDataset

Array = np.ndarray[Any, Any]

BATCH = 100
SIDE, CROP = 96, 64
ARRAYS, IMAGES = "of arrays", "decoded and augmented"


class Images:
    """JPEG files in memory; a sample is decoded, cropped at a place and flipped or not, both given by its number."""

    def __init__(self, count: int) -> None:
        from PIL import Image

        draw = np.random.default_rng(0)
        small = draw.integers(0, 256, (count, 12, 12, 3), np.uint8)
        self.files = []
        for pixels in small:
            file = io.BytesIO()
            Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
            self.files.append(file.getvalue())

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Array, int]:
        from PIL import Image

        top, left = index * 7 % (SIDE - CROP), index * 13 % (SIDE - CROP)
        image = Image.open(io.BytesIO(self.files[index])).crop((left, top, left + CROP, top + CROP))
        if index % 2:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        x = np.asarray(image, np.float32).transpose(2, 0, 1)
        return np.ascontiguousarray(x) * np.float32(1 / 255), index % 10


def arrays(count: int) -> tuple[Array, Array]:
    draw = np.random.default_rng(0)
    return draw.random((count, 784), np.float32), draw.integers(0, 10, count)


def race_loaders(race: Race, loaders: dict[str, Iterable[Any]], count: dict[str, int]) -> None:
    """Time a pass over each loader; a batch's labels are added up, and the first pixel of each sample."""
    race.start()
    for _ in range(race.rounds):
        seconds, numbers = {}, []
        for name, loader in loaders.items():
            start = perf_counter()
            total, pixels = 0, 0.0
            for x, t in loader:
                total += int(t.sum())
                pixels += float(x.reshape(len(x), -1)[:, 0].sum())
            seconds[name] = (perf_counter() - start) / count[name]
            numbers += [total, pixels / count[name]]
        race.lap(numbers, seconds=seconds)


def with_minitorch(race: Race, samples: int, images: int, *, workers: int = 0) -> None:
    loaders: dict[str, Iterable[Any]] = {
        ARRAYS: DataLoader(ArrayDataset(*arrays(samples)), BATCH),
        IMAGES: DataLoader(Images(images), BATCH, num_workers=workers),
    }
    race_loaders(race, loaders, {ARRAYS: samples, IMAGES: images})


def with_torch(race: Race, samples: int, images: int, *, workers: int = 0) -> None:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    make: Callable[..., Any] = partial(DataLoader, batch_size=BATCH, shuffle=True, num_workers=workers)
    options = {"persistent_workers": True} if workers else {}
    loaders = {
        ARRAYS: make(TensorDataset(*[torch.from_numpy(a) for a in arrays(samples)]), **options),
        IMAGES: make(Images(images), **options),
    }
    race_loaders(race, loaders, {ARRAYS: samples, IMAGES: images})


MINITORCH, TORCH = "minitorch", "PyTorch DataLoader"

WORKLOAD = Workload(
    title="loaders alone, shuffled, batches of 100",
    about=(
        f"Time of a sample, for a data set of arrays of 784 float32, and for one of JPEG files of {SIDE}×{SIDE} in "
        f"memory that are decoded by Pillow, cropped to {CROP}×{CROP}, flipped or not, and scaled to float32: the same "
        "class with `__getitem__` for all."
    ),
    contestants=(
        Contestant(MINITORCH, with_minitorch, ("pillow",)),
        Contestant("minitorch, 2 workers", partial(with_minitorch, workers=2), ("pillow",)),
        Contestant(TORCH, with_torch, ("torch", "pillow")),
        Contestant("PyTorch DataLoader, 2 workers", partial(with_torch, workers=2), ("torch", "pillow")),
    ),
    reference=MINITORCH,
    sizes={"samples": 20000, "images": 1000},
    quick={"samples": 300, "images": 200},
    unit="µs",
    targets=(
        Target(MINITORCH, over=TORCH, at_most=1.0, column=ARRAYS),
        Target(MINITORCH, over=TORCH, at_most=1.0, column=IMAGES),
    ),
)
