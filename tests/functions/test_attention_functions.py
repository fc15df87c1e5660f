"""Scaled dot product attention."""

import numpy as np
import pytest

import minitorch.functions as F
from minitorch import Variable, random, test_mode
from minitorch.errors import ConfigError, DeviceError, DTypeError, ShapeError
from minitorch.utils import directional_check

Q = np.array([[1.0, 0.0], [0.5, -1.0]])
K = np.array([[1.0, 1.0], [0.0, 2.0]])
V = np.array([[1.0, 2.0, 3.0], [-1.0, 0.0, 1.0]])
GOLDEN = [[0.339523099, 1.339523099, 2.339523099], [0.48563337, 1.48563337, 2.48563337]]


def heads(seed=0, shape=(2, 3, 5, 4)):
    """Three random arrays: queries, keys and values of a batch with heads."""
    return [np.random.default_rng(seed + i).normal(size=shape) for i in range(3)]


def test_golden_values(device):
    """The numbers of PyTorch 2.13 in float64: torch.nn.functional.scaled_dot_product_attention(q, k, v), and causal."""
    q, k, v = device.put(Q), device.put(K), device.put(V)
    np.testing.assert_allclose(device.get(F.attention(q, k, v).data), GOLDEN, atol=1e-9)
    np.testing.assert_allclose(device.get(F.attention(q, k, v, causal=True).data), [V[0], GOLDEN[1]], atol=1e-9)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_like_torch(causal, masked):
    """On random numbers, in float32, output and gradients agree with PyTorch's."""
    torch = pytest.importorskip("torch")
    arrays = [a.astype(np.float32) for a in heads()]
    mask = np.random.default_rng(9).random((2, 1, 5, 5)) < 0.7
    mask[..., 0] = True
    seen = mask if masked else np.ones((5, 5), bool)
    seen = seen & np.tri(5, dtype=bool) if causal else seen
    xs, xs_torch = [Variable(a) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]
    y = F.attention(*xs, mask=mask if masked else None, causal=causal)
    y_torch = torch.nn.functional.scaled_dot_product_attention(*xs_torch, attn_mask=torch.tensor(seen))
    (y * y).sum().backward()
    (y_torch * y_torch).sum().backward()
    np.testing.assert_allclose(y.data, y_torch.detach().numpy(), rtol=1e-5, atol=1e-6)
    for x, x_torch in zip(xs, xs_torch, strict=True):
        np.testing.assert_allclose(x.grad.data, x_torch.grad.numpy(), rtol=1e-4, atol=1e-5)


def test_leading_axes_broadcast():
    """Each head of each sample is on its own; keys and values of one head serve all."""
    q, k, v = heads()
    y = F.attention(q, k, v).data
    np.testing.assert_allclose(y[1, 2], F.attention(q[1, 2], k[1, 2], v[1, 2]).data)
    shared = F.attention(q, k[:, :1], v[0, 0]).data
    np.testing.assert_allclose(shared[1, 2], F.attention(q[1, 2], k[1, 0], v[0, 0]).data)


def test_causal_sees_no_later_key():
    """A later key or value changes nothing for an earlier query, to the last bit."""
    q, k, v = heads()
    y = F.attention(q, k, v, causal=True).data
    k[..., 3:, :] = 100.0
    v[..., 3:, :] = -100.0
    changed = F.attention(q, k, v, causal=True).data
    np.testing.assert_array_equal(changed[..., :3, :], y[..., :3, :])
    assert (changed[..., 3:, :] != y[..., 3:, :]).all()


def test_causal_with_more_keys_than_queries():
    """The last queries of a sequence, asked alone, get what they get in the whole sequence."""
    q, k, v = heads()
    whole = F.attention(q, k, v, causal=True).data
    np.testing.assert_allclose(F.attention(q[..., 3:, :], k, v, causal=True).data, whole[..., 3:, :], rtol=1e-12)


def test_a_query_that_sees_nothing(device):
    """It gets 0, passes no gradient on, and disturbs no other query."""
    mask = np.array([[True, False], [False, False]])
    xs = [Variable(device.put(a)) for a in (Q, K, V)]
    y = F.attention(*xs, mask=device.put(mask))
    y.sum().backward()
    np.testing.assert_array_equal(device.get(y.data), [V[0], np.zeros(3)])
    np.testing.assert_array_equal(device.get(xs[2].grad.data), [[1, 1, 1], [0, 0, 0]])
    assert not device.get(xs[0].grad.data)[1].any()


def test_mask_and_causal_together():
    """A key is seen where both let it be seen."""
    q, k, v = heads()
    mask = np.random.default_rng(5).random((5, 5)) < 0.5
    both = F.attention(q, k, v, mask=mask & np.tri(5, dtype=bool)).data
    np.testing.assert_array_equal(F.attention(q, k, v, mask=mask, causal=True).data, both)


def test_huge_scores():
    """Nothing overflows: the key that fits best takes all."""
    q, k, v = (np.array(a, np.float32) for a in ([[1e18]], [[1.0], [2.0]], [[3.0], [4.0]]))
    assert F.attention(q, k, v).item() == 4.0


def test_dropout_while_training(device):
    """Weights are dropped with the ratio and the others scaled up; not in test mode; the same seed drops the same."""
    q, k, v = [device.put(np.ones((200, 4), np.float32)) for _ in range(3)]
    y = F.attention(q, k, v, dropout_ratio=0.5)
    random.seed(0)
    np.testing.assert_array_equal(device.get(F.attention(q, k, v, dropout_ratio=0.5).data), device.get(y.data))
    sums = device.get(y.data)[:, 0]
    assert 0.05 < sums.std() < 0.1  # 200 weights of 1/200, each 0 or doubled: 1 / sqrt(200) = 0.07
    assert sums.mean() == pytest.approx(1, abs=0.03)
    with test_mode():
        np.testing.assert_allclose(device.get(F.attention(q, k, v, dropout_ratio=0.5).data), 1, rtol=1e-6)
    np.testing.assert_array_equal(device.get(F.attention(q, k, v, dropout_ratio=1.0).data), 0)


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"dropout_ratio": 0.5}])
def test_self_attention_is_attention_by_heads(options, device):
    """Its heads are slices of the queries, keys and values that stand side by side; the gradient too."""
    x = np.random.default_rng(0).normal(size=(2, 5, 3 * 6)).astype(np.float32)
    g = device.put(np.random.default_rng(1).normal(size=(2, 5, 6)).astype(np.float32))
    results = []
    for by_heads in (False, True):
        random.seed(0)
        qkv = Variable(device.put(x))
        if by_heads:
            parts = [part.reshape(2, 5, 3, 2).transpose(0, 2, 1, 3) for part in F.split(qkv, 3, axis=2)]
            y = F.attention(*parts, **options).transpose(0, 2, 1, 3).reshape(2, 5, 6)
        else:
            y = F.self_attention(qkv, 3, **options)
        y.grad = Variable(g)
        y.backward()
        results.append((device.get(y.data), device.get(qkv.grad.data)))
    for found, expected in zip(*results, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_self_attention_of_nothing(device):
    """No samples give none."""
    x = Variable(device.xp.ones((0, 5, 12)))
    y = F.self_attention(x, 2, causal=True)
    y.sum().backward()
    assert y.shape == (0, 5, 4)
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"mask": np.array([[True, False, True]] * 3)}])
def test_derivatives(options):
    """First and second derivatives are what differences give, for queries, keys and values."""
    directional_check(lambda q, k, v: F.attention(q, k, v, **options), heads(shape=(2, 3, 2)))


def test_derivatives_with_dropout():
    """The backward drops what the forward dropped."""

    def f(q, k, v):
        random.seed(3)
        return F.attention(q, k, v, dropout_ratio=0.3)

    directional_check(f, heads(shape=(4, 3)))


def test_errors(device):
    """What does not fit is refused with its shapes."""
    q, k, v = device.put(Q), device.put(K), device.put(V)
    with pytest.raises(ShapeError, match=r"attention: q \(2, 2\), k \(2, 3\) and v \(2, 3\) do not fit"):
        F.attention(q, v, v)
    with pytest.raises(ShapeError, match=r"attention: q \(2, 2\), k \(1, 2\) and v \(2, 3\) do not fit"):
        F.attention(q, k[:1], v)
    with pytest.raises(ShapeError, match="attention: causal with 2 queries for 1 keys"):
        F.attention(q, k[:1], v[:1], causal=True)
    with pytest.raises(DTypeError, match=r"attention: mask is float64\(2, 2\); it holds booleans, True where"):
        F.attention(q, k, v, mask=q)
    with pytest.raises(ConfigError, match=r"dropout_ratio 1\.5 is not a probability"):
        F.attention(q, k, v, dropout_ratio=1.5)
    for shape, n_heads in (((4, 10), 2), ((4, 12), 0), ((12,), 2), ((4, 0), 2)):
        with pytest.raises(ShapeError, match=rf"self_attention: qkv .* does not fit {n_heads} heads; it is"):
            F.self_attention(device.xp.ones(shape), n_heads)
    with pytest.raises(ShapeError, match=r"attention: .*broadcast"):
        F.attention(device.xp.ones((2, 3, 4)), device.xp.ones((3, 3, 4)), device.xp.ones((3, 3, 4)))
    if device.name != "cpu":
        with pytest.raises(DeviceError, match="attention: mask and q are on different devices"):
            F.attention(q, k, v, mask=np.ones((2, 2), bool))
