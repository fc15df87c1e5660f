"""Data sets: the base class, arrays in hand, published images and texts, images in folders, and toy problems."""

from typing import TYPE_CHECKING

from minitorch.lazy import when_used

__all__ = [
    "CIFAR10", "CIFAR100", "MNIST", "ArrayDataset", "Dataset", "FashionMNIST", "ImageDataset", "ImageFolder",
    "ImageNet", "PublishedDataset", "Shakespeare", "SinCurve", "Spiral", "TinyText", "get_file", "get_spiral",
]  # fmt: skip

if TYPE_CHECKING:
    from minitorch.datasets.cifar import CIFAR10, CIFAR100
    from minitorch.datasets.dataset import ArrayDataset, Dataset
    from minitorch.datasets.download import get_file
    from minitorch.datasets.fashion_mnist import FashionMNIST
    from minitorch.datasets.image_folder import ImageFolder, ImageNet
    from minitorch.datasets.images import ImageDataset
    from minitorch.datasets.mnist import MNIST
    from minitorch.datasets.published import PublishedDataset
    from minitorch.datasets.sin_curve import SinCurve
    from minitorch.datasets.spiral import Spiral, get_spiral
    from minitorch.datasets.text import Shakespeare, TinyText
else:
    HOMES = {
        "CIFAR10": "cifar", "CIFAR100": "cifar", "MNIST": "mnist", "ArrayDataset": "dataset", "Dataset": "dataset",
        "FashionMNIST": "fashion_mnist", "ImageDataset": "images", "ImageFolder": "image_folder",
        "ImageNet": "image_folder", "PublishedDataset": "published", "Shakespeare": "text", "SinCurve": "sin_curve",
        "Spiral": "spiral", "TinyText": "text", "get_file": "download", "get_spiral": "spiral",
    }  # fmt: skip
    __getattr__, __dir__ = when_used(__name__, HOMES)
