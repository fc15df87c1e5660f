"""ImageFolder and ImageNet: folders as classes, images opened one by one, labels read but never executed."""

import sys

import numpy as np
import pytest

from minitorch import DataLoader
from minitorch.datasets import ImageFolder, ImageNet
from minitorch.datasets.image_folder import _LABELS
from minitorch.errors import DataError, DownloadError, MissingExtraError
from minitorch.transforms import Compose, Resize, ToArray


def draw(path, colour, size=(4, 3), mode="RGB"):
    """Write an image of one colour."""
    pillow = pytest.importorskip("PIL.Image")
    path.parent.mkdir(parents=True, exist_ok=True)
    pillow.new(mode, size, colour).save(path)


@pytest.fixture
def root(tmp_path):
    """Two classes, with images of several formats, and some things that are no images."""
    draw(tmp_path / "dog" / "b.PNG", (0, 255, 0))
    draw(tmp_path / "dog" / "more" / "a.bmp", (0, 0, 255))
    draw(tmp_path / "cat" / "1.png", 51, mode="L")
    draw(tmp_path / "cat" / ".2.png", 1, mode="L")
    draw(tmp_path / ".thumbnails" / "1.png", 1, mode="L")
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "README").write_text("no folder")
    return tmp_path


def test_folders_are_classes_in_order_of_their_names(root):
    """`classes`, `label` and `paths` follow the sorted names; hidden and other files are passed over."""
    dataset = ImageFolder(root)
    assert dataset.classes == ["cat", "dog"]
    assert [path.relative_to(root).as_posix() for path in dataset.paths] == ["cat/1.png", "dog/b.PNG", "dog/more/a.bmp"]
    assert (dataset.label.tolist(), dataset.label.dtype) == ([0, 1, 1], np.int64)
    assert len(dataset) == 3


def test_samples_are_rgb_from_0_to_1(root):
    """By default x is float32 (3, height, width), grey images in RGB too, alone and in batches."""
    dataset = ImageFolder(root)
    x, t = dataset[0]
    assert (x.dtype, x.shape, t) == (np.float32, (3, 3, 4), 0)
    np.testing.assert_allclose(x, 0.2)
    xs, ts = next(iter(DataLoader(dataset, 3, shuffle=False)))
    assert (xs.shape, ts.tolist()) == ((3, 3, 3, 4), [0, 1, 1])
    assert xs[:, :, 0, 0].round(1).tolist() == np.float32([[0.2] * 3, [0, 1, 0], [0, 0, 1]]).tolist()


def test_a_transform_sees_the_pillow_image(root):
    """So images of several sizes can be brought to one."""
    draw(root / "cat" / "large.png", (9, 9, 9), (20, 30))
    dataset = ImageFolder(root, transform=Compose([Resize((5, 6)), ToArray(np.uint8)]))
    assert dataset.batch(range(4))[0].shape == (4, 3, 6, 5)
    image, t = ImageFolder(root, transform=None, target_transform=lambda t: t + 10)[1]
    assert (image.size, image.mode, t) == ((20, 30), "RGB", 10)


def test_an_image_that_cannot_be_read_is_named(root):
    """Damaged, cut short or deleted: the file is in the message, and the others are read."""
    whole = (root / "dog" / "b.PNG").read_bytes()
    dataset = ImageFolder(root)
    for content in (b"", b"<html>", whole[:40], whole[:-30]):
        (root / "dog" / "b.PNG").write_bytes(content)
        with pytest.raises(DataError, match=r"b\.PNG: cannot be read as an image \(.*\); repair or delete the file"):
            dataset[1]
    (root / "dog" / "b.PNG").unlink()
    with pytest.raises(DataError, match=r"b\.PNG: cannot be read as an image \(.*No such file") as caught:
        dataset.batch([0, 1])
    assert caught.value.__notes__ == ["while loading sample 1 of ImageFolder"]
    assert dataset[2][1] == 1


def test_folders_that_do_not_do_are_named(root, tmp_path):
    """No folder, no classes, or a class without images."""
    with pytest.raises(
        DataError, match=r"ImageFolder: .*nowhere is no folder; give one that has a folder of images for"
    ):
        ImageFolder(root / "nowhere")
    with pytest.raises(
        DataError, match=r"ImageFolder: there is no folder in .*more; put the images of each class into"
    ):
        ImageFolder(root / "dog" / "more")
    (root / "bird").mkdir()
    with pytest.raises(DataError, match=r"ImageFolder: there is no image in .*bird; put some there \(\.bmp .*\) or"):
        ImageFolder(root)


def test_pillow_is_asked_for_at_once(monkeypatch, tmp_path):
    """Without it the error names the extra, before a long run begins."""
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(
        MissingExtraError, match=r"ImageFolder reads images with Pillow: pip install minitorch\[images\]"
    ):
        ImageFolder(tmp_path)


def test_imagenet_has_a_thousand_folders(root):
    """The numbers of fewer classes would not be those of the labels."""
    with pytest.raises(
        DataError, match=r"ImageNet: .* has 2 folders, expected 1000, one for each class; ImageFolder re"
    ):
        ImageNet(root)


def listed(n=1000):
    """A list of labels in the published form."""
    return ("{" + ",\n ".join(f"{i}: 'class {i}, number {i}'" for i in range(n)) + "}").encode()


def test_the_labels_of_imagenet_are_downloaded_once(publisher):
    """A dictionary of 1,000 names."""
    with pytest.raises(DownloadError, match="could not be downloaded"):
        ImageNet.labels()
    publisher.files = {_LABELS: listed()}
    publisher.fetched.clear()
    for _ in range(2):
        labels = ImageNet.labels()
        assert (len(labels), labels[999]) == (1000, "class 999, number 999")
    assert publisher.fetched == [_LABELS]


@pytest.mark.parametrize(
    "raw",
    [
        b"<html>",
        listed(999),
        b"{0: 'tench'",
        b"[" * 10000,
        b"\xff",
        listed().replace(b"'class 7, number 7'", b"7"),
        listed().replace(b"'class 7, number 7'", b"open('evil', 'w')"),
    ],
    ids=["page", "short", "cut", "deep", "bytes", "number", "code"],
)
def test_labels_are_values_and_never_code(raw, publisher, tmp_path, monkeypatch):
    """Anything but a dictionary of names is refused by the name of the file, and nothing in it is executed."""
    monkeypatch.chdir(tmp_path)
    publisher.files = {_LABELS: raw}
    with pytest.raises(
        DataError, match=r"imagenet1000_clsidx_to_labels\.txt: no list of the names of classes 0 to 999"
    ):
        ImageNet.labels()
    assert not (tmp_path / "evil").exists()
