"""`MultiHeadAttention` and `TransformerBlock`."""

import numpy as np
import pytest

import fake_cupy
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Variable, random, test_mode
from minitorch.errors import ConfigError, ShapeError
from minitorch.utils import directional_check

X = np.random.default_rng(0).normal(size=(2, 5, 6)).astype(np.float32)


def test_each_head_attends_in_its_own_subspace():
    """The output is that of single attentions over slices of the projections, joined and projected."""
    layer = L.MultiHeadAttention(3, 6)
    q, k, v = (p(X).data for p in (layer.x2q, layer.x2k, layer.x2v))
    heads = [F.attention(*[a[..., 2 * i : 2 * i + 2] for a in (q, k, v)]).data for i in range(3)]
    np.testing.assert_allclose(layer(X).data, layer.out(np.concatenate(heads, axis=-1)).data, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("cross", [False, True])
def test_like_torch(causal, cross):
    """Output and the gradients of all weights agree with torch.nn.MultiheadAttention, with a memory too."""
    torch = pytest.importorskip("torch")
    layer = L.MultiHeadAttention(3, 6, causal=causal, memory_width=4 if cross else None)
    memory = np.random.default_rng(1).normal(size=(2, 5, 4)).astype(np.float32) if cross else None
    y = layer(X, memory)
    theirs = torch.nn.MultiheadAttention(6, 3, batch_first=True, **({"kdim": 4, "vdim": 4} if cross else {}))
    projections = (layer.x2q, layer.x2k, layer.x2v)
    weights = [torch.tensor(p.W.data.T.copy()) for p in projections]
    if cross:
        for name, W in zip(("q", "k", "v"), weights, strict=True):
            getattr(theirs, f"{name}_proj_weight").data = W
    else:
        theirs.in_proj_weight.data = torch.cat(weights)
    theirs.in_proj_bias.data = torch.tensor(np.concatenate([p.b.data for p in projections]))
    theirs.out_proj.weight.data = torch.tensor(layer.out.W.data.T.copy())
    theirs.out_proj.bias.data = torch.tensor(layer.out.b.data)
    x = torch.tensor(X)
    seen = x if memory is None else torch.tensor(memory)
    hidden = ~torch.ones(5, 5, dtype=torch.bool).tril() if causal else None
    y_torch, _ = theirs(x, seen, seen, attn_mask=hidden)
    (y * y).sum().backward()
    (y_torch * y_torch).sum().backward()
    np.testing.assert_allclose(y.data, y_torch.detach().numpy(), rtol=1e-4, atol=1e-5)
    grads = [theirs.q_proj_weight, theirs.k_proj_weight, theirs.v_proj_weight] if cross else theirs.in_proj_weight
    found = [g.grad.numpy() for g in grads] if cross else np.split(grads.grad.numpy(), 3)
    for p, expected in zip(projections, found, strict=True):
        np.testing.assert_allclose(p.W.grad.data, expected.T, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dropout_ratio", [0.0, 0.5])
def test_one_product_for_queries_keys_and_values(dropout_ratio):
    """A sequence attends to itself as to a memory that is the same, with the same gradients and the same dropout."""
    layer, results = L.MultiHeadAttention(2, 6, dropout_ratio), []
    for joined in (True, False):
        random.seed(0)
        x = Variable(X)
        layer.cleargrads()
        y = layer(x) if joined else layer(x, x)
        (y * y).sum().backward()
        results.append([y.data, x.grad.data, *[p.grad.data for p in layer.params()]])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_frozen_part_gets_no_gradient():
    """Keys that are not trained leave queries and values their gradients."""
    layer = L.MultiHeadAttention(2, 6)
    layer.x2k.W.requires_grad = False
    layer(X).sum().backward()
    assert layer.x2k.W.grad is None
    assert layer.x2q.W.grad is not None
    assert layer.x2v.W.grad is not None


def test_memory_of_another_length_and_width():
    """Queries come from x, keys and values from the memory; leading axes are free."""
    layer = L.MultiHeadAttention(2, 6, memory_width=4)
    assert layer(X, np.ones((2, 9, 4), np.float32)).shape == (2, 5, 6)
    assert L.MultiHeadAttention(2, 6)(X[0]).shape == (5, 6)
    assert L.MultiHeadAttention(2, 6)(X[None]).shape == (1, 2, 5, 6)


def test_mask():
    """Positions that are masked out do not matter."""
    layer = L.MultiHeadAttention(2, 6)
    mask = np.array([[True] * 5, [True, True, False, True, False]])[:, None, None, :]
    y = layer(X, None, mask).data
    changed = X.copy()
    changed[1, [2, 4]] = 9.0
    rows = [0, 1, 3]
    np.testing.assert_allclose(layer(changed, None, mask).data[1][rows], y[1][rows], rtol=1e-5)
    assert not np.allclose(layer(changed).data[1][rows], layer(X).data[1][rows], rtol=1e-3)


def test_causal():
    """A position sees nothing after itself."""
    layer = L.MultiHeadAttention(2, 6, causal=True)
    changed = X.copy()
    changed[:, 3:] = 0
    np.testing.assert_allclose(layer(changed).data[:, :3], layer(X).data[:, :3], rtol=1e-5, atol=1e-6)


def test_block_is_what_its_docstring_says():
    """Attention, then the hidden layer, each added to its normalised input."""
    block = L.TransformerBlock(2, 6, causal=True)
    y = X + block.attention(block.norm1(X)).data
    y = y + block.fc2(F.gelu(F.linear(block.norm2(y), block.fc1.W, block.fc1.b))).data
    np.testing.assert_allclose(block(X).data, y, rtol=1e-5, atol=1e-6)
    assert block.fc1.W.shape == (6, 24)
    assert L.TransformerBlock(2, 6, hidden_size=7).fc1.W.shape == (6, 7)


def test_block_parameters():
    """Every weight has its path, and all get a gradient."""
    block = L.TransformerBlock(2, 6)
    block(X).sum().backward()
    assert [path for path, _ in block.named_params()] == [
        "norm1.gamma", "norm1.beta", "attention.x2q.W", "attention.x2q.b", "attention.x2k.W", "attention.x2k.b",
        "attention.x2v.W", "attention.x2v.b", "attention.out.W", "attention.out.b", "norm2.gamma", "norm2.beta",
        "fc1.W", "fc1.b", "fc2.W", "fc2.b",
    ]  # fmt: skip
    assert all(p.grad is not None and p.grad.dtype == np.float32 for p in block.params())


def test_block_derivatives():
    """The gradient of the input, first and second, is what differences give, with dropout too."""
    block = L.TransformerBlock(2, 4, dropout_ratio=0.2, causal=True, dtype=np.float64)

    def f(x):
        random.seed(1)
        return block(x)

    directional_check(f, [np.random.default_rng(0).normal(size=(2, 3, 4))])


def test_dropout_only_while_training():
    """In test mode the same input gives the same output, while training it does not."""
    block = L.TransformerBlock(2, 6, dropout_ratio=0.5)
    assert not np.array_equal(block(X).data, block(X).data)
    with test_mode():
        np.testing.assert_array_equal(block(X).data, block(X).data)


def test_padding_mask_through_a_block():
    """The mask of a block is that of its attention."""
    block = L.TransformerBlock(2, 6)
    mask = np.array([True, True, True, False, False])[None, None, None]
    changed = X.copy()
    changed[:, 3:] = 5.0
    np.testing.assert_allclose(block(changed, mask).data[:, :3], block(X, mask).data[:, :3], rtol=1e-4, atol=1e-5)


def test_a_step_does_not_wait_for_the_device():
    """Forward and backward of a causal block move nothing between host and device."""
    with fake_cupy.installed() as cupy:
        block = L.TransformerBlock(2, 6, causal=True)
        block.to_gpu()
        x = Variable(cupy.array(X))
        with fake_cupy.no_transfers():
            block(x).sum().backward()
        assert isinstance(x.grad.data, cupy.ndarray)


def test_errors():
    """Heads must share the width evenly; what does not fit says in which layer."""
    with pytest.raises(ConfigError, match="MultiHeadAttention: width 6 is not a multiple of n_heads, 4"):
        L.MultiHeadAttention(4, 6)
    with pytest.raises(ConfigError, match="MultiHeadAttention: width 6 is not a multiple of n_heads, 0"):
        L.MultiHeadAttention(0, 6)
    with pytest.raises(ShapeError, match=r"linear: x \(2, 5, 6\) does not fit W \(4, 6\)"):
        L.MultiHeadAttention(2, 6, memory_width=4)(X)
    with pytest.raises(ShapeError) as error:
        L.MultiHeadAttention(2, 6)(X[..., :4])
    assert any("MultiHeadAttention(2 heads, 6)" in note for note in error.value.__notes__)
