"""Transforms: single equals batch, random ones are pure functions of (seed, epoch, sample), errors say what to do."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import minitorch.random
from minitorch.cuda import as_numpy, get_array_module
from minitorch.errors import ConfigError, DataError, DTypeError, MissingExtraError, ShapeError
from minitorch.random import _philox4x32, drawing_for, drawing_for_one
from minitorch.transforms import (
    AsType,
    CenterCrop,
    Compose,
    Convert,
    Flatten,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    Resize,
    ToArray,
    ToFloat,
    ToInt,
    ToPIL,
    Transform,
    works_on_batches,
)

ARRAY_TRANSFORMS = [
    Compose(),
    Compose([CenterCrop(3), RandomHorizontalFlip(), RandomHorizontalFlip(), Flatten(), ToFloat(), Normalize(0, 255)]),
    Flatten(),
    AsType(np.float64),
    ToFloat(),
    ToInt(),
    Normalize(),
    Normalize(0.0, 255.0),
    Normalize(0.5, 0.25),
    Normalize([1.0, 2.0], [3.0, 4.0]),
    Normalize([1.0], 2.0),
    CenterCrop((2, 3)),
    RandomCrop(3),
    RandomCrop((3, 4), padding=2),
    RandomHorizontalFlip(),
    RandomHorizontalFlip(p=1),
    ToArray(),
]
PIXELS = np.arange(6 * 2 * 4 * 5, dtype=np.uint8).reshape(6, 2, 4, 5)  # (N, C, H, W)


def on(xp, array):
    """The array on the side of `xp`."""
    return xp.asarray(array)


@given(
    batch=arrays(
        dtype=st.sampled_from([np.uint8, np.int32, np.float16, np.float32]),
        shape=st.tuples(st.integers(0, 5), st.just(2), st.integers(3, 6), st.integers(3, 6)),
        elements=st.integers(0, 200),
    ),
    transform=st.sampled_from(ARRAY_TRANSFORMS),
    seed=st.integers(0, 2**64 - 1),
    epoch=st.integers(0, 2**32 - 1),
    first=st.integers(0, 2**40),
)
def test_batch_equals_stacked_singles(batch, transform, seed, epoch, first):
    """`batch` equals the single samples stacked, bit for bit and in dtype, and leaves its argument alone."""
    indices = first + np.arange(len(batch)) * 3
    before = batch.copy()
    with drawing_for(seed, epoch, indices):
        together = transform.batch(batch)
    singles = []
    for sample, index in zip(batch, indices, strict=True):
        with drawing_for(seed, epoch, [index]):
            singles.append(transform(sample))
    np.testing.assert_array_equal(batch, before)
    assert len(together) == len(batch)
    for one, single in zip(together, singles, strict=True):
        assert one.dtype == np.asarray(single).dtype
        np.testing.assert_array_equal(one, single)


@pytest.mark.parametrize("transform", ARRAY_TRANSFORMS, ids=repr)
def test_results_are_equal_on_every_device(transform, xp):
    """A transform gives on a device the numbers that it gives on the host, in an array of that device."""
    with drawing_for(3, 1, np.arange(6)):
        expected = transform.batch(PIXELS)
    with drawing_for(3, 1, np.arange(6)):
        y = transform.batch(on(xp, PIXELS))
    assert get_array_module(y) is xp
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(as_numpy(y), expected, rtol=1e-6)


@pytest.mark.parametrize("transform", ARRAY_TRANSFORMS, ids=repr)
def test_single_samples_work_on_every_device(transform, xp):
    """A single sample stays on its device."""
    y = transform(on(xp, PIXELS[0]))
    assert get_array_module(y) is xp


def test_normalize_computes_its_formula_per_channel():
    """Normalize is (x - mean) / std, channel by channel."""
    x = PIXELS.astype(np.float32)
    y = Normalize([10.0, 20.0], [2.0, 4.0]).batch(x)
    np.testing.assert_array_equal(y[:, 0], (x[:, 0] - 10) / 2)
    np.testing.assert_array_equal(y[:, 1], (x[:, 1] - 20) / 4)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(np.uint8, np.float32), (np.int64, np.float32), (np.float16, np.float16), (np.float32, np.float32)],
)
def test_normalize_keeps_float_types_and_makes_integers_float32(dtype, expected):
    """No float64 by accident."""
    for transform in (Normalize(0.1, 0.3), Normalize([0.1, 0.2], [0.3, 0.4])):
        assert transform(PIXELS[0].astype(dtype)).dtype == expected


def test_labels_can_be_converted_one_by_one():
    """A transform takes NumPy and Python scalars, as labels are."""
    assert ToInt()(np.uint8(3)) == 3
    assert ToInt()(np.uint8(3)).dtype == np.int64
    assert ToFloat()(3).dtype == np.float32


def test_center_crop_takes_the_middle():
    """An odd rest is left over at the right and at the bottom, and size is (width, height)."""
    np.testing.assert_array_equal(CenterCrop((2, 3))(PIXELS[0]), PIXELS[0][:, 0:3, 1:3])


def test_random_crop_takes_every_place_and_pads_with_zeros():
    """All places occur, each is a part of the framed image, and they are about equally frequent."""
    images = np.broadcast_to(np.arange(1, 7, dtype=np.uint8).reshape(2, 3), (4000, 2, 3))
    framed = np.pad(images[0], 1)
    parts = {framed[i : i + 2, j : j + 3].tobytes(): 0 for i in range(3) for j in range(3)}
    with drawing_for(0, 0, np.arange(4000)):
        for part in RandomCrop((3, 2), padding=1).batch(images):
            parts[part.tobytes()] += 1  # a KeyError would be a part that is none
    assert min(parts.values()) > 4000 / 9 * 0.8
    assert max(parts.values()) < 4000 / 9 * 1.2


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_flip_mirrors_the_asked_share(p):
    """Each image is either as it was or mirrored left to right, mirrored with probability p."""
    images = np.broadcast_to(np.arange(6, dtype=np.uint8).reshape(2, 3), (4000, 1, 2, 3))
    with drawing_for(0, 0, np.arange(4000)):
        y = RandomHorizontalFlip(p).batch(images)
    mirrored = (y == images[..., ::-1]).all(axis=(1, 2, 3))
    assert (mirrored | (y == images).all(axis=(1, 2, 3))).all()
    assert abs(mirrored.mean() - p) < 0.03


def flips(seed, epoch, indices, transform):
    """Which of the samples `indices` a transform mirrors."""
    images = np.broadcast_to(np.array([[0, 1]], np.uint8), (len(indices), 1, 2))
    with drawing_for(seed, epoch, indices):
        return transform.batch(images)[:, 0, 0].tolist()


def test_random_numbers_depend_on_seed_epoch_and_sample_alone():
    """Order and batch size change nothing for a sample; another seed or epoch does."""
    flip = RandomHorizontalFlip()
    whole = flips(5, 2, np.arange(64), flip)
    assert flips(5, 2, np.arange(64)[::-1], flip) == whole[::-1]
    assert [flips(5, 2, [i], flip)[0] for i in range(64)] == whole
    assert flips(6, 2, np.arange(64), flip) != whole
    assert flips(5, 3, np.arange(64), flip) != whole
    assert flips(5, 2, np.arange(64) + 2**32, flip) != whole


def test_two_random_transforms_of_one_sample_are_independent():
    """Two flips in a row do not undo each other: each draws its own number."""
    assert 1 in flips(0, 0, np.arange(64), Compose([RandomHorizontalFlip(), RandomHorizontalFlip()]))


def test_outside_a_loader_the_global_seed_rules():
    """Without `drawing_for` the numbers come from `minitorch.random`, anew at each call and repeatable."""
    images = np.broadcast_to(np.array([[0, 1]], np.uint8), (64, 1, 2))
    minitorch.random.seed(0)
    first, second = RandomHorizontalFlip().batch(images), RandomHorizontalFlip().batch(images)
    minitorch.random.seed(0)
    again = RandomHorizontalFlip().batch(images)
    np.testing.assert_array_equal(first, again)
    assert (first != second).any()


def test_drawing_for_one_changes_nothing_outside():
    """`drawing_for_one` without a `drawing_for` around it leaves the global numbers in place."""
    before = minitorch.random.get_state()
    with drawing_for_one(0):
        RandomHorizontalFlip()(np.zeros((1, 2)))
    assert minitorch.random.get_state().draw == before.draw + 1


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0, 0, 0, 0], 0, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, 2**64 - 1, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            0x299F31D0_A4093822,
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_gives_the_published_numbers(counter, key, expected):
    """The known answers of the Random123 library for Philox4x32-10."""
    words = _philox4x32(tuple(np.array([c], np.uint64) for c in counter), key)
    assert words[:, 0].tolist() == expected


def test_compose_takes_plain_functions_sample_by_sample():
    """A plain function works on single samples, and `batch` says why it cannot take a whole batch."""
    transform = Compose([ToFloat(), lambda x: x + 1])
    assert transform(np.zeros(2, np.uint8)).tolist() == [1, 1]
    assert not works_on_batches(transform)
    assert not works_on_batches(Compose([transform]))
    with pytest.raises(DTypeError, match=r"Compose\.batch: <function .* takes single samples only; call the Compose"):
        transform.batch(np.zeros((1, 2)))


def test_a_users_transform_needs_apply_alone():
    """A subclass with `apply` works on samples, on batches and within a Compose."""

    class Double(Transform):
        def apply(self, array):
            array *= 2
            return array

    x = np.ones((2, 3), np.float32)
    assert Double()(x[0]).tolist() == [2, 2, 2]
    assert Compose([Double(), Double()]).batch(x).tolist() == [[4, 4, 4]] * 2
    assert x.tolist() == [[1, 1, 1]] * 2
    with pytest.raises(TypeError, match=r"abstract method .?apply"):
        type("Empty", (Transform,), {})()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Compose([1]), ConfigError, "Compose: 1 is no transform; give functions or objects with __call__"),
        (lambda: Normalize(0, 0), ConfigError, "Normalize: std is 0.0; it divides, so it must not be 0"),
        (lambda: Normalize(0, [1, 0]), ConfigError, r"Normalize: std is \(1.0, 0.0\); it divides"),
        (lambda: CenterCrop(0), ConfigError, r"size: got 0; a size is a positive integer or a pair \(width, height\)"),
        (lambda: Resize((1, 2, 3)), ConfigError, r"size: got \(1, 2, 3\); a size is a positive integer"),
        (lambda: RandomCrop(2.5), ConfigError, "size: got 2.5; a size is a positive integer"),
        (lambda: RandomCrop(2, padding=-1), ConfigError, "RandomCrop: padding is -1; it is an integer of at least 0"),
        (lambda: RandomHorizontalFlip(1.5), ConfigError, "RandomHorizontalFlip: p is 1.5; a probability is from 0 to"),
        (
            lambda: Normalize([1, 2, 3])(PIXELS[0]),
            ShapeError,
            r"Normalize: 3 values of mean for samples of shape \(2, 4, 5\); give one number, or one for each channel, "
            r"the first axis of a sample \(put Normalize before Flatten\)",
        ),
        (
            lambda: CenterCrop(5)(PIXELS[0]),
            ShapeError,
            r"CenterCrop: cannot cut 5x5 out of images 5x4 \(width x height\)",
        ),
        (
            lambda: RandomCrop(7, padding=1).batch(PIXELS),
            ShapeError,
            r"RandomCrop: cannot cut 7x7 out of images 7x6 \(width x height\)",
        ),
        (
            lambda: RandomHorizontalFlip()(np.zeros(3)),
            ShapeError,
            r"RandomHorizontalFlip: a sample has shape \(3,\); images have \(..., height, width\): "
            "put RandomHorizontalFlip before Flatten",
        ),
    ],
)
def test_errors_name_the_value_and_the_remedy(make, error, message):
    """Each misuse is refused with a message that says what to do."""
    with pytest.raises(error, match=message):
        make()


def test_a_random_transform_refuses_another_number_of_samples():
    """Random numbers belong to samples: transforming more than are loaded would correlate them."""
    with (
        drawing_for(0, 0, [1, 2]),
        pytest.raises(DataError, match="a random transform got 6 samples where 2 are being loaded; inside a data"),
    ):
        RandomHorizontalFlip().batch(PIXELS)


# Pillow --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [Convert("BGR"), Resize(2), ToArray(), ToPIL()], ids=repr)
def test_without_pillow_the_error_names_the_extra(transform, monkeypatch):
    """Pillow is optional; who needs it is told how to install it."""

    class Picture:
        def convert(self, mode):
            return self

        def split(self):
            return 1, 2, 3

    monkeypatch.setitem(sys.modules, "PIL", None)
    sample = np.zeros((1, 2, 2), np.uint8) if isinstance(transform, ToPIL) else Picture()
    message = rf"{type(transform).__name__} works on Pillow images: pip install minitorch\[images\]"
    with pytest.raises(MissingExtraError, match=message):
        transform(sample)


def test_array_transforms_do_not_need_pillow(monkeypatch):
    """ToArray and CenterCrop pass arrays without importing Pillow."""
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert Compose([ToArray(), CenterCrop(2)])(PIXELS[0]).shape == (2, 2, 2)


@pytest.fixture
def photo():
    """A Pillow image, 5 wide and 4 high, whose three channels differ."""
    image = pytest.importorskip("PIL.Image")
    return image.fromarray(np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3))


def test_pillow_images_become_arrays_and_come_back(photo):
    """ToArray gives (C, H, W) in float32; ToPIL is its inverse on uint8; grey images have one channel."""
    x = ToArray()(photo)
    assert (x.shape, x.dtype) == ((3, 4, 5), np.float32)
    np.testing.assert_array_equal(x, np.asarray(photo).transpose(2, 0, 1))
    np.testing.assert_array_equal(np.asarray(ToPIL()(ToArray(np.uint8)(photo))), np.asarray(photo))
    grey = Compose([Convert("L"), ToArray(np.uint8)])(photo)
    assert grey.shape == (1, 4, 5)
    assert ToPIL()(grey).mode == "L"


def test_convert_to_bgr_reverses_the_channels(photo):
    """BGR is RGB backwards."""
    np.testing.assert_array_equal(ToArray()(Convert("BGR")(photo)), ToArray()(photo)[::-1])


def test_resize_and_crop_take_width_and_height(photo):
    """Sizes are (width, height), for Pillow images as for arrays."""
    assert Resize((10, 8))(photo).size == (10, 8)
    assert Resize(3)(photo).size == (3, 3)
    cut = CenterCrop((2, 3))
    np.testing.assert_array_equal(ToArray()(cut(photo)), cut(ToArray()(photo)))
    with pytest.raises(ShapeError, match=r"CenterCrop: cannot cut 6x6 out of an image 5x4 \(width x height\)"):
        CenterCrop(6)(photo)


def test_to_array_refuses_what_is_no_image(photo):
    """The message names the type."""
    with pytest.raises(DTypeError, match="ToArray: got str; it converts Pillow images and passes arrays on"):
        ToArray()("photo.png")


@pytest.mark.parametrize("transform", [Resize(2), Convert("L"), Convert("BGR")], ids=repr)
def test_arrays_are_no_pillow_images(transform):
    """Where an image is wanted the order of the transforms is told, instead of what NumPy makes of `resize`."""
    pytest.importorskip("PIL.Image")
    with pytest.raises(DTypeError) as info:
        Compose([ToArray(), transform])(PIXELS[0])
    name = type(transform).__name__
    assert str(info.value) == f"{name}: got ndarray; it takes Pillow images: put it before ToArray, or after ToPIL"


def test_to_pil_takes_images():
    """Axes and types that Pillow knows no images of are refused."""
    pytest.importorskip("PIL.Image")
    with pytest.raises(
        ShapeError, match=r"^ToPIL: got an array of shape \(4, 5\); an image is \(channels, height, width\)$"
    ):
        ToPIL()(np.zeros((4, 5), np.uint8))
    with pytest.raises(DTypeError) as info:
        ToPIL()(np.zeros((3, 4, 5), np.float32))
    assert str(info.value) == (
        "ToPIL: Pillow has no images of 3 channels of float32; put it before ToFloat, or use x.astype(np.uint8)"
    )
