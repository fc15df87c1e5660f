"""VGG16, ResNet and SqueezeNet: their sizes and paths, training steps, and weights that others trained."""

import gc
from http.client import HTTPException
from urllib.error import URLError

import numpy as np
import pytest

import fake_cupy
import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import models, optimizers, serialize
from minitorch.errors import CheckpointError, ConfigError, DownloadError, DTypeError, StateError
from minitorch.models import pretrained
from minitorch.models.resnet import Bottleneck, without_first_bias
from minitorch.models.torchvision import load_torchvision_weights


def images(n, size):
    return np.random.default_rng(0).standard_normal((n, 3, size, size), np.float32)


def trained(model):
    """How many numbers an optimizer moves."""
    return sum(p.size for p in model.params() if p.requires_grad)


def step(model, x, t):
    """One step of training; returns the loss before it."""
    optimizer = optimizers.MomentumSGD(0.01).setup(model)
    loss = F.softmax_cross_entropy(model(x), t)
    model.cleargrads()
    loss.backward()
    optimizer.update()
    return float(loss.data)


SIZES = {
    "SqueezeNet 1.0": (models.SqueezeNet, 1_248_424),
    "SqueezeNet 1.1": (lambda: models.SqueezeNet("1.1"), 1_235_496),
    "ResNet50": (models.ResNet50, 25_557_032),
    "ResNet50, torchvision": (lambda: models.ResNet50(variant="torchvision"), 25_557_032),
}
LARGE = {
    "VGG16": (models.VGG16, 138_357_544),
    "ResNet101": (models.ResNet101, 44_549_160),
    "ResNet152": (models.ResNet152, 60_192_808),
    "ResNet": (models.ResNet, 60_192_808),
}


@pytest.mark.parametrize("name", SIZES)
def test_number_of_parameters(name):
    """As many as published; a score for each of 1000 classes."""
    make, count = SIZES[name]
    model = make()
    with minitorch.test_mode():
        assert model(images(1, 64)).shape == (1, 1000)
    assert trained(model) == count


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_number_of_parameters_of_large_models(name):
    """As many as published, for images of 224 × 224."""
    make, count = LARGE[name]
    model = make()
    with minitorch.test_mode():
        assert model(images(1, 224)).shape == (1, 1000)
    assert trained(model) == count


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SqueezeNet 1.0", "ResNet50", "VGG16"])
def test_a_step_of_training_at_full_size(name):
    """Images of 224 × 224 go through forward, backward and update, and every Parameter moves."""
    model = {**SIZES, **LARGE}[name][0]()
    x, t = images(2, 224), np.array([3, 999])
    model(x[:1])
    before = {path: a.copy() for path, a in model.state_dict().items()}
    assert np.isfinite(step(model, x, t))
    still = [path for path, a in model.state_dict().items() if np.array_equal(a, before[path])]
    assert still == []


@pytest.mark.parametrize("make", [models.SqueezeNet, models.ResNet50], ids=["SqueezeNet", "ResNet50"])
def test_training_lowers_the_loss(make):
    """A few steps on one small batch bring the loss down, from where new weights start."""
    model = make(classes=3)
    optimizer = optimizers.Adam(1e-4).setup(model)
    x, t = images(3, 48), np.array([0, 1, 2])
    losses = []
    for _ in range(4):
        with minitorch.using_config("train", make is models.ResNet50):  # without dropout, which makes losses jump
            loss = F.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        losses.append(float(loss.data))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.8 * losses[0]


def test_vgg16_on_small_images():
    """The size of the image is free; the paths are DeZero's."""
    model = models.VGG16(classes=10)
    with minitorch.test_mode():
        assert model(images(2, 32)).shape == (2, 10)
    assert trained(model) == 14_714_688 + 513 * 4096 + 4097 * 4096 + 4097 * 10
    counts = enumerate((2, 2, 3, 3, 3), start=1)
    layers = [f"conv{stage}_{i}" for stage, count in counts for i in range(1, count + 1)] + ["fc6", "fc7", "fc8"]
    assert [path for path, _ in model.named_params()] == [f"{layer}.{key}" for layer in layers for key in "Wb"]


def test_paths_of_resnet():
    """The paths are DeZero's."""
    paths = [path for path, _ in models.ResNet50().named_params()]
    norm = ["avg_mean", "avg_var", "gamma", "beta"]
    assert paths[:5] == ["conv1.W", *[f"bn1.{key}" for key in norm]]
    block = [f"{kind}{i}" for i in (1, 2, 3, 4) for kind in ("conv", "bn")]
    first = [p for p in paths if p.startswith("res3.a.")]
    assert first == [f"res3.a.{b}.{key}" for b in block for key in (["W"] if "conv" in b else norm)]
    assert {p.split(".")[1] for p in paths if p.startswith("res4.")} == {"a", "b1", "b2", "b3", "b4", "b5"}
    assert paths[-2:] == ["fc6.W", "fc6.b"]


def test_where_resnet_becomes_smaller():
    """The original halves the image in the first convolution of a stage, torchvision's variant in the second."""
    for variant, strides in (("original", (2, 1)), ("torchvision", (1, 2))):
        block = Bottleneck(4, 2, variant, project=True)
        assert (block.conv1.window.stride[0], block.conv2.window.stride[0]) == strides
        assert block(np.ones((2, 8, 8, 8), np.float32)).shape == (2, 16, 4, 4)


def test_nothing_is_left_to_the_garbage_collector():
    """After a step of training, what it computed is gone at once."""
    model = models.SqueezeNet("1.1", classes=3)
    x, t = images(2, 32), np.array([0, 1])
    step(model, x, t)
    gc.collect()
    gc.disable()
    try:
        step(model, x, t)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_on_a_device():
    """On a device a model gives the same scores."""
    model = models.SqueezeNet("1.1", classes=5)
    x = images(2, 40)
    with minitorch.test_mode(), fake_cupy.installed() as cupy:
        expected = model(x).data
        model.to_gpu()
        np.testing.assert_allclose(cupy.asnumpy(model(cupy.asarray(x)).data), expected, rtol=1e-4, atol=1e-5)


class Picture:
    """What `VGG16.preprocess` needs of a Pillow image."""

    def __init__(self, pixels):
        self.pixels = pixels

    def convert(self, mode):
        return Picture({"RGB": self.pixels}[mode])

    def resize(self, size):
        return Picture(np.full((size[1], size[0], 3), self.pixels[0, 0]))

    def __array__(self, dtype=None, copy=None):
        return np.array(self.pixels, dtype)


def test_preprocess():
    """Channels blue, green, red, less their means; (width, height) of a Pillow image becomes (H, W)."""
    picture = Picture(np.array([[[10, 20, 30]]], np.uint8))
    x = models.VGG16.preprocess(picture, size=(4, 2))
    assert (x.shape, x.dtype) == ((3, 2, 4), np.float32)
    np.testing.assert_allclose(x[:, 0, 0], [30 - 103.939, 20 - 116.779, 10 - 123.68], rtol=1e-6)
    assert models.VGG16.preprocess(picture, size=None, dtype=np.float64).shape == (3, 1, 1)


def test_preprocess_takes_pillow_images():
    """An array, or the path of a file, is refused with what to give."""
    for wrong in (np.zeros((3, 4, 4)), "zebra.jpg"):
        with pytest.raises(DTypeError) as info:
            models.VGG16.preprocess(wrong)
        assert str(info.value) == (
            f"VGG16.preprocess: got {type(wrong).__name__}; give a Pillow image, such as Image.open(path)"
        )


def test_preprocess_of_pillow_images():
    """Images of Pillow are scaled, whatever their mode."""
    image = pytest.importorskip("PIL.Image").new("L", (50, 40), 100)
    x = models.VGG16.preprocess(image)
    assert x.shape == (3, 224, 224)
    np.testing.assert_allclose(x[:, 5, 5], 100 - np.array([103.939, 116.779, 123.68]), rtol=1e-5)


def test_unknown_versions():
    """What there is, is listed."""
    with pytest.raises(ConfigError, match=r"SqueezeNet: version is '2\.0'; it can be '1\.0' or '1\.1'"):
        models.SqueezeNet("2.0")
    with pytest.raises(ConfigError, match="ResNet: n_layers is 34; it can be 50, 101, 152"):
        models.ResNet(34)
    with pytest.raises(ConfigError, match="ResNet: variant is 'new'; it can be 'original' or 'torchvision'"):
        models.ResNet50(variant="new")


# ---- DeZero's weights


def dezero_state(model):
    """An array for each Parameter, of one number, with 1 for each size that is not known before the first call."""
    shapes = [(path, [n or 1 for n in p.wanted_shape]) for path, p in model.named_params()]
    return {path: np.full(shape, i, np.float32) for i, (path, shape) in enumerate(shapes)}


def test_dezero_weights(tmp_path, monkeypatch):
    """A file is fetched by its name at DeZero's address; its paths become those used here."""
    np.savez(tmp_path / "weights.npz", **{"res2/a/conv1/W": np.ones(3), "fc6/b": np.zeros(2)})
    asked = []
    monkeypatch.setattr(pretrained, "get_file", lambda url: asked.append(url) or tmp_path / "weights.npz")
    state = pretrained.dezero_weights("resnet50")
    assert asked == ["https://github.com/koki0702/dezero-models/releases/download/v0.1/resnet50.npz"]
    assert {key: a.tolist() for key, a in state.items()} == {"res2.a.conv1.W": [1, 1, 1], "fc6.b": [0, 0]}


def test_pretrained_resnet(monkeypatch):
    """Weights go where their paths say; the bias that the first convolution has in the file is moved."""
    state = dezero_state(models.ResNet50())
    state["conv1.b"], state["bn1.avg_mean"] = np.full((2, 64), 5, np.float32) * [[1], [3]]
    monkeypatch.setattr("minitorch.models.resnet.dezero_weights", {"resnet50": state}.__getitem__)
    loaded = models.ResNet50(pretrained=True).state_dict()
    np.testing.assert_array_equal(loaded["bn1.avg_mean"], np.full(64, 10))
    np.testing.assert_array_equal(loaded["res4.b2.conv2.W"], state["res4.b2.conv2.W"])


def test_pretrained_vgg16(monkeypatch):
    """Weights go where their paths say."""
    state = dezero_state(models.VGG16())
    monkeypatch.setattr("minitorch.models.vgg.dezero_weights", {"vgg16": state}.__getitem__)
    model = models.VGG16(pretrained=True)
    np.testing.assert_array_equal(model.conv5_3.W.data, state["conv5_3.W"])
    np.testing.assert_array_equal(model.fc8.b.data, state["fc8.b"])


def test_a_bias_before_batch_norm_is_moved_into_its_mean():
    """Without the bias, and with the mean moved, the output is the same."""
    rng = np.random.default_rng(0)
    x, W, b = rng.standard_normal((2, 3, 6, 6)), rng.standard_normal((4, 3, 3, 3)), rng.standard_normal(4)
    gamma, beta, mean, var = (rng.uniform(0.5, 1.5, 4) for _ in range(4))
    moved = without_first_bias({"conv1.W": W, "conv1.b": b, "bn1.avg_mean": mean})
    assert sorted(moved) == ["bn1.avg_mean", "conv1.W"]
    with minitorch.test_mode():
        expected = F.batch_norm(F.conv2d(x, W, b), gamma, beta, mean, var)
        found = F.batch_norm(F.conv2d(x, W), gamma, beta, moved["bn1.avg_mean"], var)
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", [models.VGG16, models.ResNet50, models.ResNet101, models.ResNet152])
@pytest.mark.parametrize("error", [URLError("no route"), HTTPException("gone")])
def test_offline(make, error, monkeypatch, tmp_path):
    """Without a network the error says what could not be had, why, and where to put the file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)

    def urlopen(*args, **kwargs):
        raise error

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    with pytest.raises(DownloadError, match=r"\.npz is not at .* and could not be downloaded(.|\n)*or put the file at"):
        make(pretrained=True)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut short"])
def test_a_damaged_file(content, monkeypatch, tmp_path):
    """A file that is no .npz, or holds objects to unpickle, is refused by name."""
    path = tmp_path / "vgg16.npz"
    path.write_bytes(content)
    monkeypatch.setattr(pretrained, "get_file", lambda url: path)
    with pytest.raises(
        CheckpointError, match=r"vgg16\.npz is no whole \.npz file of arrays .*; delete it and run again"
    ):
        models.VGG16(pretrained=True)


def test_a_file_with_pickled_objects(monkeypatch, tmp_path):
    """Nothing is ever unpickled."""
    path = tmp_path / "vgg16.npz"
    np.savez(path, allow_pickle=True, **{"conv1_1/W": np.array([{}], object)})
    monkeypatch.setattr(pretrained, "get_file", lambda url: path)
    with pytest.raises(CheckpointError, match="allow_pickle=False"):
        models.VGG16(pretrained=True)


def test_what_pretrained_cannot_be_combined_with():
    """Weights for 1000 classes and for the original variant are not loaded into anything else."""
    for make in (models.VGG16, models.ResNet50):
        with pytest.raises(StateError, match="pretrained weights are for the 1000 classes of ImageNet, not 10; make"):
            make(pretrained=True, classes=10)
    with pytest.raises(ConfigError, match="DeZero's weights are for the variant 'original'; for those of torchvision"):
        models.ResNet50(pretrained=True, variant="torchvision")


# ---- torchvision's weights


def parameters(name, shape, *, bias=True):
    return {f"{name}.weight": shape, **({f"{name}.bias": shape[:1]} if bias else {})}


def norm(name, channels):
    keys = ("weight", "bias", "running_mean", "running_var")
    return {**{f"{name}.{key}": (channels,) for key in keys}, f"{name}.num_batches_tracked": ()}


def squeezenet_in_torchvision(first, fires, classes):
    """Names and shapes in torchvision's SqueezeNet, from its first convolution and the places of its Fire modules."""
    shapes = parameters("features.0", first)
    for place, (channels, squeezed, expanded) in fires.items():
        shapes |= parameters(f"features.{place}.squeeze", (squeezed, channels, 1, 1))
        shapes |= parameters(f"features.{place}.expand1x1", (expanded, squeezed, 1, 1))
        shapes |= parameters(f"features.{place}.expand3x3", (expanded, squeezed, 3, 3))
    return shapes | parameters("classifier.1", (classes, 512, 1, 1))


def fires(*places):
    channels = (96 if places[2] == 5 else 64, 128, 128, 256, 256, 384, 384, 512)
    squeezed = (16, 16, 32, 32, 48, 48, 64, 64)
    return {place: (c, s, 4 * s) for place, c, s in zip(places, channels, squeezed, strict=True)}


def resnet_in_torchvision(counts, classes):
    """Names and shapes in torchvision's ResNet."""
    shapes = parameters("conv1", (64, 3, 7, 7), bias=False) | norm("bn1", 64)
    inside = 64
    for stage, count in enumerate(counts, start=1):
        width = 32 * 2**stage
        for i in range(count):
            name = f"layer{stage}.{i}"
            kernels = ((width, inside, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1))
            for j, kernel in enumerate(kernels, start=1):
                shapes |= parameters(f"{name}.conv{j}", kernel, bias=False) | norm(f"{name}.bn{j}", kernel[0])
            if i == 0:
                shapes |= parameters(f"{name}.downsample.0", (4 * width, inside, 1, 1), bias=False)
                shapes |= norm(f"{name}.downsample.1", 4 * width)
            inside = 4 * width
    return shapes | parameters("fc", (classes, 2048))


def vgg16_in_torchvision(pixels, classes):
    """Names and shapes in torchvision's VGG16."""
    shapes, place, inside = {}, 0, 3
    for width in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"):
        if width != "M":
            shapes |= parameters(f"features.{place}", (width, inside, 3, 3))
            inside = width
        place += 1 if width == "M" else 2
    for place, shape in ((0, (4096, 512 * pixels)), (3, (4096, 4096)), (6, (classes, 4096))):
        shapes |= parameters(f"classifier.{place}", shape)
    return shapes


def filled(shapes):
    """Small random arrays of these shapes."""
    rng = np.random.default_rng(0)
    return {name: rng.random(shape, np.float32) * np.float32(0.01) for name, shape in shapes.items()}


TORCHVISION = {
    "SqueezeNet 1.0": (
        lambda: models.SqueezeNet(classes=7),
        squeezenet_in_torchvision((96, 3, 7, 7), fires(3, 4, 5, 7, 8, 9, 10, 12), 7),
        {
            "conv1.b": "features.0.bias",
            "fire5.expand3x3.W": "features.7.expand3x3.weight",
            "conv10.W": "classifier.1.weight",
        },
    ),
    "SqueezeNet 1.1": (
        lambda: models.SqueezeNet("1.1", classes=7),
        squeezenet_in_torchvision((64, 3, 3, 3), fires(3, 4, 6, 7, 9, 10, 11, 12), 7),
        {"fire2.squeeze.W": "features.3.squeeze.weight", "fire9.expand1x1.b": "features.12.expand1x1.bias"},
    ),
    "ResNet50": (
        lambda: models.ResNet50(variant="torchvision", classes=7),
        resnet_in_torchvision((3, 4, 6, 3), 7),
        {
            "bn1.avg_var": "bn1.running_var",
            "res2.a.conv4.W": "layer1.0.downsample.0.weight",
            "res2.a.bn4.gamma": "layer1.0.downsample.1.weight",
            "res4.b5.bn3.beta": "layer3.5.bn3.bias",
            "res5.b2.conv2.W": "layer4.2.conv2.weight",
            "fc6.b": "fc.bias",
        },
    ),
    "VGG16": (
        lambda: models.VGG16(classes=7),
        vgg16_in_torchvision(1, 7),
        {"conv1_2.W": "features.2.weight", "conv3_1.b": "features.10.bias", "conv5_3.W": "features.28.weight"},
    ),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n == "VGG16" else ()) for n in TORCHVISION])
def test_torchvision_weights(name, tmp_path):
    """Every array of the file goes to its Parameter, weights of Linear the other way round; then the model works."""
    make, shapes, places = TORCHVISION[name]
    state = filled(shapes)
    serialize.save(tmp_path / "theirs.safetensors", state)
    model = make()
    load_torchvision_weights(model, tmp_path / "theirs.safetensors")
    params = dict(model.named_params())
    for ours, theirs in places.items():
        np.testing.assert_array_equal(params[ours].data, state[theirs], err_msg=ours)
    for layer, theirs in (("fc6", "fc.weight"), ("fc6", "classifier.0.weight"), ("fc7", "classifier.3.weight")):
        if theirs in state and hasattr(model, layer):
            np.testing.assert_array_equal(getattr(model, layer).W.data, state[theirs].T)
    taken = sum(a.size for key, a in state.items() if not key.endswith("num_batches_tracked"))
    assert sum(p.size for p in params.values()) == taken
    with minitorch.test_mode():
        assert model(images(1, 32)).shape == (1, 7)


def test_torchvision_weights_that_do_not_fit(tmp_path):
    """The file of another model is refused, with the names that are missing and those too many."""
    path = tmp_path / "theirs.safetensors"
    serialize.save(path, filled(squeezenet_in_torchvision((96, 3, 7, 7), fires(3, 4, 5, 7, 8, 9, 10, 12), 7)))
    with pytest.raises(
        StateError, match=r"theirs.safetensors: weights of torchvision's SqueezeNet: missing .*features.6"
    ):
        load_torchvision_weights(models.SqueezeNet("1.1", classes=7), path)
    with pytest.raises(
        StateError, match=r"theirs.safetensors: SqueezeNet: shapes differ: conv10.W: \(7, 512, 1, 1\) given"
    ):
        load_torchvision_weights(models.SqueezeNet(classes=8), path)


def test_models_that_torchvision_weights_are_not_for(tmp_path):
    """A model of another kind, or of the original variant, is named."""
    with pytest.raises(
        ConfigError, match='the ResNet50 is of the variant "original"; make it with variant="torchvision"'
    ):
        load_torchvision_weights(models.ResNet50(), tmp_path / "none")
    with pytest.raises(ConfigError, match="the model is a MLP; it can be a VGG16, a ResNet or a SqueezeNet"):
        load_torchvision_weights(models.MLP((3,)), tmp_path / "none")


def test_layers_of_the_models_are_public():
    """They are made of the layers that everybody has."""
    kinds = {type(layer) for _, layer in models.ResNet50().layers_inside()}
    assert {L.Conv2d, L.BatchNorm, L.Linear} <= kinds
