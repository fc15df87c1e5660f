"""What the scripts of *Deep Learning from Scratch 3*, steps 24 to 60, and its examples do with the framework.

Each function here uses what the scripts named beside it use, in code of our own; `docs/coming_from_dezero.md` says what
is different. Step 25, 30 to 32 and 56 have no script, and that of 55 uses no framework.
"""

import math
import shutil

import numpy as np
import pytest

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import DataLoader, Dataset, Function, Model, SeqDataLoader, Variable, as_variable, optimizers, transforms
from minitorch.models import MLP, VGG16, Sequential
from minitorch.utils import get_conv_outsize, get_dot_graph, plot_dot_graph
from small_mnist import write_small_mnist

WITHOUT_SCRIPT = {25, 30, 31, 32, 56}
EXAMPLES = ["mnist", "spiral", "tanh", "vae", "gan", "grad_cam", "style_transfer"]
USES = {}


def used_by(*scripts):
    """Registers a function under the steps and examples that use what it uses."""

    def register(use):
        USES[use] = scripts
        return use

    return register


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """Real MNIST, 300 images for training and 100 for testing, in the place where data sets look first."""
    write_small_mnist(tmp_path / "mnist", 300, 100)
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path / "mnist"))
    monkeypatch.chdir(tmp_path)


@used_by(24)
def numbers_beside_variables(**_):
    """Numbers on both sides of every operator, powers, and a 0-d gradient that prints as a Variable."""
    x = Variable(np.array(1.0))
    y = (1 - 2 * x + x / 2 + 3) ** 2 * -x
    y.backward()
    assert repr(x.grad) == "variable(1.25)"


@used_by(26, 35, "tanh")
def names_of_variables_and_pictures(tmp_path, **_):
    """Names set after the computation are in the picture, which a file name gives the format."""
    x = Variable(np.array(1.0))
    y = F.tanh(x)
    y.backward(create_graph=True)
    x.name, gx = "x", x.grad
    gx.name = "gx1"
    if shutil.which("dot"):
        plot_dot_graph(gx, verbose=False, to_file=str(tmp_path / "tanh.png"))
        assert (tmp_path / "tanh.png").stat().st_size > 1000
    text = get_dot_graph(gx, verbose=False)
    assert ['label="x"' in text, 'label="gx1"' in text, 'label="tanh"' in text] == [True] * 3


@used_by(27)
def functions_of_ones_own(**_):
    """A Function in the words of the book, its inputs' arrays, and a sum of terms that begins at the number 0."""

    class Cube(Function):
        def forward(self, x):
            return x**3

        def backward(self, gy):
            return gy * 3 * self.inputs[0].data ** 2

    x = Variable(np.array(2.0))
    Cube()(x).backward()
    assert float(x.grad.data) == 12.0
    y = 0
    for i in range(4):
        y = y + (-1) ** i / math.factorial(2 * i + 1) * x ** (2 * i + 1)
    assert abs(y.data - np.sin(2.0)) < 0.01


@used_by(28, 29)
def updates_in_place_by_gradients(**_):
    """`x.data -= lr * x.grad`, with the gradient as it is; and the question which core there is."""
    assert minitorch.is_simple_core
    x = Variable(np.array(2.0))
    array = x.data
    for _ in range(10):
        y = x**4 - 2 * x**2
        x.cleargrad()
        y.backward()
        x.data -= x.grad / (12 * x.data**2 - 4)
    x.data -= 0.001 * x.grad
    assert x.data is array
    assert float(x.data) == pytest.approx(1.0)


@used_by(33, 34, 36)
def gradients_of_gradients(**_):
    """`create_graph`, `cleargrad` in between, a gradient in further computation, updates with its array."""
    x = Variable(np.linspace(-1, 1, 4))
    F.sin(x).backward(create_graph=True)
    for expected in (np.cos, lambda a: -np.sin(a), lambda a: -np.cos(a)):
        gx = x.grad
        np.testing.assert_allclose(gx.data.flatten(), expected(x.data))
        x.cleargrad()
        gx.backward(create_graph=True)
    x.cleargrad()
    y = x**2
    y.backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    (gx**3 + y).backward()
    np.testing.assert_allclose(x.grad.data, 24 * x.data**2 + 2 * x.data)
    x.data -= gx.data / x.grad.data


@used_by(37, 38, 39, 40, 41)
def shapes_of_integers(**_):
    """Integers as data, `retain_grad`, reshape, transpose, sums over axes, broadcasting, products of matrices."""
    x, row = Variable(np.array([[1, 2, 3], [4, 5, 6]])), Variable(np.array([[10]]))
    t = x + row
    F.sum(t).backward(retain_grad=True)
    assert (t.grad.data.tolist(), row.grad.data.tolist()) == ([[1.0] * 3] * 2, [[6.0]])
    for y in (F.reshape(x, (6,)), x.reshape(6), x.reshape((6,)), F.transpose(x), x.T, x.transpose(), F.sum(x, axis=0)):
        x.cleargrad()
        y.backward(retain_grad=True)
        assert x.grad.shape == (2, 3)
    assert x.sum(keepdims=True).shape == (1, 1)
    w = Variable(np.ones((3, 4)))
    F.matmul(x, w).backward()
    assert w.grad.shape == (3, 4)


@used_by(42, 43)
def regression_by_hand(**_):
    """Weights as Variables, a loss of one's own, updates by `W.data -= lr * W.grad.data`."""
    x = np.linspace(0, 1, 20)[:, np.newaxis]
    W, b = Variable(np.zeros((1, 1))), Variable(np.zeros(1))
    for _ in range(300):
        diff = Variable(5 + 2 * x) - F.linear(x, W, b)
        loss = F.sum(diff**2) / len(diff)
        W.cleargrad()
        b.cleargrad()
        loss.backward()
        W.data -= 0.3 * W.grad.data
        b.data -= 0.3 * b.grad.data
    assert (float(W.data.item()), float(b.data.item())) == (pytest.approx(2.0, abs=0.05), pytest.approx(5.0, abs=0.05))


class TwoLayers(Model):
    """Two layers whose input size nobody says; `forward`, as most scripts write it."""

    def __init__(self, hidden_size, out_size):
        super().__init__()
        self.l1 = L.Linear(hidden_size)
        self.bn1 = L.BatchNorm()
        self.l2 = L.Linear(out_size)

    def forward(self, x):
        return self.l2(F.sigmoid(self.bn1(self.l1(x))))


@used_by(44, 45, 46, "spiral")
def layers_models_and_optimizers(tmp_path, **_):
    """Layers sized at the first call, loops over `params`, `Model.plot`, `SGD(lr).setup(model)`."""
    x = np.random.default_rng(0).random((20, 1))
    model = TwoLayers(10, 1)
    before = F.mean_squared_error(np.sin(6 * x), model(x))
    for layer in (model.l1, model.l2):
        layer.cleargrads()
    before.backward()
    for p in [*model.l1.params(), *model.l2.params()]:
        p.data -= 0.1 * p.grad.data
    optimizer = optimizers.MomentumSGD(0.05).setup(model)
    for _ in range(50):
        loss = F.mean_squared_error(np.sin(6 * x), model(x))
        model.cleargrads()
        loss.backward()
        optimizer.update()
    assert float(loss.data) < float(before.data)
    model.plot(x, to_file=str(tmp_path / "model.dot"))
    assert "sigmoid" in (tmp_path / "model.dot").read_text()


@used_by(47)
def softmax_and_its_definition(**_):
    """`as_variable`, elements by index, the functions named `..._simple`."""
    assert as_variable(np.ones(2)).shape == (2,)
    y = as_variable(Variable(np.array([[0.2, -0.4], [0.3, 0.5]])))
    assert y[1].shape == (2,)
    np.testing.assert_allclose(F.softmax_simple(y).data, (F.exp(y) / F.sum(F.exp(y), axis=1, keepdims=True)).data)
    loss = F.softmax_cross_entropy_simple(y, np.array([1, 0]))
    loss.backward()
    assert y.grad.shape == (2, 2)


@used_by(48, 49, 50, "spiral")
def data_sets_and_loaders(**_):
    """Spirals as arrays and as a data set, batches by hand, transforms, a data set of one's own, loaders to the end."""
    x, t = minitorch.datasets.get_spiral(train=True)
    model = MLP((10, 3))
    index = np.random.default_rng(0).permutation(len(x))[:30]
    y = model(x[index])
    loss = F.softmax_cross_entropy(y, t[index])
    loss.backward()
    assert isinstance(float(loss.data) * len(t), float)
    scale = transforms.Compose([transforms.Normalize(mean=0.0, std=2.0), transforms.AsType(np.float64)])
    spiral = minitorch.datasets.Spiral(transform=scale)
    np.testing.assert_array_equal(spiral[7][0], x[7].astype(np.float64) / 2)
    assert t[7] == spiral[7][1]

    class Squares(Dataset):
        def prepare(self):
            self.data, self.label = np.arange(5.0), np.arange(5) ** 2

    loader = DataLoader(Squares(transform=lambda x: x + 1), 2, shuffle=False)
    for _ in range(2):
        assert [(x.tolist(), t.tolist()) for x, t in loader][2] == ([5.0], [16])
    with minitorch.no_grad():
        score = model(np.c_[np.zeros(3), np.ones(3)])
    assert np.argmax(score.data, axis=1).shape == (3,)


@used_by(51, 52, 53, "mnist")
def mnist_by_hand(device, **_):
    """MNIST, its images unchanged, accuracy, hooks, `to_gpu` behind a question, weights in a file, evaluation."""
    plain = minitorch.datasets.MNIST(train=True, transform=None)
    assert (type(plain[0][0]), plain[0][0].shape) == (np.ndarray, (1, 28, 28))
    train_set, test_set = minitorch.datasets.MNIST(train=True), minitorch.datasets.MNIST(train=False)
    loaders = [DataLoader(train_set, 100), DataLoader(test_set, 100, shuffle=False)]
    model = MLP((20, 20, 10), activation=F.relu)
    optimizer = optimizers.Adam().setup(model)
    optimizer.add_hook(optimizers.WeightDecay(1e-4))
    assert minitorch.cuda.gpu_enable == (device.name != "cpu")
    if minitorch.cuda.gpu_enable:
        model.to_gpu()
        for loader in loaders:
            loader.to_gpu()
    for x, t in loaders[0]:
        y = model(x)
        loss, acc = F.softmax_cross_entropy(y, t), F.accuracy(y, t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        assert 0 <= float(acc.data) * len(t) <= len(t)
    model.save_weights("my_mlp.npz")
    other = MLP((20, 20, 10))
    other.load_weights("my_mlp.npz")
    with minitorch.no_grad(), minitorch.test_mode():
        for x, _ in loaders[1]:
            y = model(x)
    assert isinstance(y.data, device.xp.ndarray)
    assert all(np.array_equal(p.data, device.get(q.data)) for p, q in zip(other.params(), model.params(), strict=True))


@used_by(54)
def dropout_in_both_modes(**_):
    """Of plain arrays, while training and not."""
    x = np.ones(5)
    assert set(F.dropout(x).data.tolist()) <= {0.0, 2.0}
    with minitorch.test_mode():
        assert F.dropout(x).data.tolist() == [1.0] * 5


@used_by(55, 57)
def columns_and_convolution_by_definition(device, **_):
    """Output sizes, `im2col` with its keywords, `conv2d_simple` without a bias, a gradient of an image."""
    assert get_conv_outsize(4, 3, 1, 1) == 4
    image = device.put(np.random.default_rng(0).random((2, 3, 7, 7)))
    assert F.im2col(image, kernel_size=5, stride=1, pad=0, to_matrix=True).shape == (18, 75)
    assert F.im2col(image, (5, 5), (1, 1), (0, 0), to_matrix=True).shape == (18, 75)
    x = Variable(image)
    y = F.conv2d_simple(x, image[:, :, :3, :3], b=None, stride=1, pad=1)
    y.backward()
    assert (y.shape, x.grad.shape) == ((2, 2, 7, 7), (2, 3, 7, 7))


@used_by(58, "grad_cam", "style_transfer")
def what_vgg16_is_asked_for(**_):
    """Images prepared without a model, `get_file` and weights that say where they look, outputs of a layer."""
    pytest.importorskip("PIL.Image")
    from PIL import Image

    image = VGG16.preprocess(Image.new("RGB", (300, 200)))[np.newaxis]
    assert (image.shape, image.dtype) == ((1, 3, 224, 224), np.float32)
    model = Sequential(L.Conv2d(2, kernel_size=3, pad=1), F.relu, F.flatten, L.Linear(4))
    y = model(image[:, :, :8, :8])
    (convolved := model.layers[0].outputs[0]()).cleargrad()
    y[0, int(np.argmax(y.data))].backward(retain_grad=True)
    assert F.average(convolved.grad, axis=(0, 2, 3)).shape == (2,)
    with pytest.raises(minitorch.errors.DownloadError, match=r"put the file at .*vgg16\.npz yourself"):
        VGG16(pretrained=True)
    with pytest.raises(minitorch.errors.DownloadError, match=r"imagenet1000_clsidx_to_labels\.txt yourself"):
        minitorch.datasets.ImageNet.labels()
    with pytest.raises(minitorch.errors.DownloadError, match=r"zebra\.jpg yourself"):
        minitorch.utils.get_file("https://localhost:1/zebra.jpg")


@used_by(59, 60)
def recurrent_networks(**_):
    """`__call__` overridden, a loss that grows from the number 0, cut now and then; one number of (1, 1)."""

    class Recurrent(Model):
        def __init__(self, layer):
            super().__init__()
            self.rnn, self.fc = layer, L.Linear(1)

        def reset_state(self):
            self.rnn.reset_state()

        def __call__(self, x):
            return self.fc(self.rnn(x))

    train_set = minitorch.datasets.SinCurve(train=True)
    batches = [(x.reshape(1, 1), t) for x, t in (train_set[i] for i in range(40))]
    for layer, data in ((L.RNN(8), batches), (L.LSTM(8), SeqDataLoader(train_set, batch_size=30))):
        model = Recurrent(layer)
        optimizer = optimizers.Adam().setup(model)
        model.reset_state()
        loss = count = 0
        for x, t in data:
            loss += F.mean_squared_error(model(x), t)
            count += 1
            if count % 10 == 0:
                model.cleargrads()
                loss.backward()
                loss.unchain_backward()
                optimizer.update()
        assert math.isfinite(float(loss.data) / count)
        model.reset_state()
        with minitorch.no_grad():
            y = model(np.array(0.5).reshape(1, 1))
        assert float(y) == y.data.item()  # NumPy 2.4 refuses `float(y.data)` of shape (1, 1)


@used_by("style_transfer")
def an_image_that_is_trained(**_):
    """A Parameter as attribute of a plain Model, its optimizer, slices, Gram matrices, a sum from the number 0."""
    image = minitorch.Parameter(np.random.default_rng(0).random((1, 3, 6, 6)).astype(np.float32))
    model = minitorch.models.Model()
    model.param = image
    optimizer = optimizers.AdaGrad(lr=0.1).setup(model)
    before = image.data.copy()
    features = F.average_pooling(image, 2, 2).reshape(3, -1)
    gram = F.matmul(features, features.T).reshape(1, 3, 3)
    loss = 0
    loss += F.mean_squared_error(gram, np.zeros((1, 3, 3), np.float32)) / 2
    loss += 1e-2 * F.sum((image[:, :, :-1, :-1] - image[:, :, 1:, :-1]) ** 2)
    model.cleargrads()
    image.cleargrad()
    loss.backward()
    optimizer.update()
    assert not np.array_equal(before, image.data)


@used_by("vae")
def a_variational_autoencoder(device, **_):
    """NumPy's integers as sizes, `len` of Variables, deconvolution, a tuple from `forward`, `max_iter`."""

    class Coder(Model):
        def __init__(self):
            super().__init__()
            self.conv = L.Conv2d(4, kernel_size=3, stride=2, pad=1)
            self.linear = L.Linear(np.prod((4, 14, 14)))
            self.deconv = L.Deconv2d(1, kernel_size=4, stride=2, pad=1)

        def forward(self, x):
            z = F.flatten(F.relu(self.conv(x)))[:, :2]
            xp = minitorch.cuda.get_array_module(z.data)
            y = z + F.exp(z) * xp.ones((len(z), 2))
            return z, F.sigmoid(self.deconv(F.reshape(F.relu(self.linear(y)), (-1, 4, 14, 14))))

    transform = lambda x: (x / 255.0).astype(np.float32)  # noqa: E731  # as the script has it
    loader = DataLoader(minitorch.datasets.MNIST(train=True, transform=transform), 16)
    model = Coder()
    optimizer = optimizers.Adam().setup(model)
    if minitorch.cuda.gpu_enable:
        model.to_gpu()
        loader.to_gpu()
        assert minitorch.cuda.cupy is device.xp
    total = 0
    for x, _ in loader:
        z, y = model(x)
        loss = F.binary_cross_entropy(F.flatten(y), F.flatten(x)) / 1 + F.sum(z**2 - z - 1) / len(x)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        total += loss.data
        break
    assert math.isfinite(float(total / loader.max_iter))
    y.data = minitorch.cuda.as_numpy(y.data)
    assert y.data.reshape(16, 28, 28).shape == (16, 28, 28)


@used_by("gan")
def two_networks_against_each_other(device, **_):
    """Functions in `Sequential`, `layers` added up and given weights of float64, one graph walked for two losses."""
    gen = Sequential(
        L.Linear(16), L.BatchNorm(), F.relu, lambda x: F.reshape(x, (-1, 4, 2, 2)),
        L.Deconv2d(1, kernel_size=4, stride=2, pad=1), F.sigmoid,
    )  # fmt: skip
    dis = Sequential(L.Conv2d(2, kernel_size=4, stride=2, pad=1), F.leaky_relu, F.flatten, L.Linear(1), F.sigmoid)
    rng = np.random.default_rng(0)
    dis(gen(rng.random((1, 6))))
    for layer in dis.layers + gen.layers:
        if layer.__class__.__name__.lower() in ("conv2d", "linear", "deconv2d"):
            layer.W.data = 0.02 * rng.standard_normal(layer.W.data.shape)
    opt_g, opt_d = (optimizers.Adam(alpha=0.0002, beta1=0.5).setup(model) for model in (gen, dis))
    if minitorch.cuda.gpu_enable:
        gen.to_gpu()
        dis.to_gpu()
    real, fake = device.put(np.ones(8).astype(int)), device.put(np.zeros(8).astype(int))
    image = gen(device.put(rng.standard_normal((8, 6)).astype(np.float32)))
    loss_d = F.binary_cross_entropy(dis(image.data), fake) + F.binary_cross_entropy(dis(image), real)
    dis.cleargrads()
    loss_d.backward(retain_grad=True)
    opt_d.update()
    loss_g = F.binary_cross_entropy(dis(image), real)
    gen.cleargrads()
    loss_g.backward()
    opt_g.update()
    with minitorch.test_mode():
        shape = minitorch.cuda.as_numpy(gen(device.put(np.ones((2, 6)))).data)[0][0].shape
    assert shape == (4, 4)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """An empty cache, and a network that is not there."""

    def refuse(url, timeout):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_what_the_book_uses(use, device, mnist, offline, tmp_path):
    """It runs, here and on a device, and gives what the scripts expect."""
    use(device=device, tmp_path=tmp_path)


def test_every_script_is_in_the_table():
    """Each step from 24 to 60 that has a script, and each example, is named by a function of this file."""
    named = {script for scripts in USES.values() for script in scripts}
    assert named == {*range(24, 61), *EXAMPLES} - WITHOUT_SCRIPT
