"""Data sets: the base class, arrays in hand, MNIST, and the toy problems of the book."""

from minitorch.datasets.dataset import ArrayDataset, Dataset
from minitorch.datasets.download import get_file
from minitorch.datasets.mnist import MNIST
from minitorch.datasets.sin_curve import SinCurve
from minitorch.datasets.spiral import Spiral, get_spiral

__all__ = ["MNIST", "ArrayDataset", "Dataset", "SinCurve", "Spiral", "get_file", "get_spiral"]
