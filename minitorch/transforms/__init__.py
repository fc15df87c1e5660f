"""Transforms: what a data set does to its samples, one at a time or a whole batch at once with equal results.

A `Transform` implements one method, `apply`, for a batch; `transform(sample)` and `transform.batch(array)` follow from
it, so the two cannot differ. They work on NumPy and CuPy arrays alike. Images are (..., height, width), as `ToArray`
makes them. Transforms of Pillow images (`Convert`, `Resize`, `ToPIL`) are plain callables: a data set that uses one
is read sample by sample.

What a random transform draws for a sample is a pure function of (seed, epoch, index of the sample, number of the
draw within the sample), computed by counter-based Philox. A `DataLoader` says which samples are on the way with
`drawing_for`; so neither the batch size, nor resuming in the middle of an epoch, nor threads change anything.
Outside a loader the next numbers of `minitorch.random` are drawn.
"""

from typing import TYPE_CHECKING

from minitorch.lazy import when_used

__all__ = [
    "AsType", "CenterCrop", "Compose", "Convert", "Flatten", "Normalize", "RandomCrop", "RandomHorizontalFlip",
    "Resize", "ToArray", "ToFloat", "ToInt", "ToPIL", "Transform", "works_on_batches",
]  # fmt: skip

if TYPE_CHECKING:
    from minitorch.transforms.images import CenterCrop, RandomCrop, RandomHorizontalFlip
    from minitorch.transforms.pillow import Convert, Resize, ToArray, ToPIL
    from minitorch.transforms.transform import Compose, Transform, works_on_batches
    from minitorch.transforms.values import AsType, Flatten, Normalize, ToFloat, ToInt
else:
    HOMES = {
        "AsType": "values", "CenterCrop": "images", "Compose": "transform", "Convert": "pillow", "Flatten": "values",
        "Normalize": "values", "RandomCrop": "images", "RandomHorizontalFlip": "images", "Resize": "pillow",
        "ToArray": "pillow", "ToFloat": "values", "ToInt": "values", "ToPIL": "pillow", "Transform": "transform",
        "works_on_batches": "transform",
    }  # fmt: skip
    __getattr__, __dir__ = when_used(__name__, HOMES)
