"""The LSTM over a sequence shares its batch out to threads without a trace in the result."""

import numpy as np

from minitorch import Variable, using_config
from minitorch.cpu import lstm, threads
from minitorch.ops.lstm_sequence import lstm_sequence, lstm_sequence_reference


def test_bits_do_not_depend_on_the_number_of_threads():
    """Forward and backward of a batch for several tasks give the same bits on one, two and three threads."""
    rng = np.random.default_rng(0)
    T, N, H = 3, 3 * lstm.SEQUENCES + 5, 8
    a, g = (rng.standard_normal(shape).astype(np.float32) for shape in ((T, N, 4 * H), (T + 1, N, H)))
    h, c = rng.standard_normal((2, N, H)).astype(np.float32)
    W = rng.standard_normal((H, 4 * H)).astype(np.float32)
    before = threads.get_num_threads()
    found = []
    try:
        for n in (1, 2, 3):
            threads.set_num_threads(n)
            y, saved = lstm.forward(a, h, c, W)
            found.append([y, *lstm.backward(g, y, saved, h, W)])
    finally:
        threads.set_num_threads(before)
    for one, two, three in zip(*found, strict=True):
        assert one.tobytes() == two.tobytes() == three.tobytes()


def test_a_batch_is_computed_as_its_parts():
    """The sequences of a large batch give what each of them gives alone."""
    rng = np.random.default_rng(0)
    T, N, H = 3, 2 * lstm.SEQUENCES + 1, 4
    a = rng.standard_normal((T, N, 4 * H))
    h, c = rng.standard_normal((2, N, H))
    W = rng.standard_normal((H, 4 * H))
    y, _ = lstm.forward(a, h, c, W)
    for n in (0, lstm.SEQUENCES, N - 1):
        at = slice(n, n + 1)
        np.testing.assert_allclose(y[:, at], lstm.forward(a[:, at], h[at], c[at], W)[0], rtol=1e-12)


def test_large_memories():
    """A memory that its gate shows as 1 passes nothing back that way, to the last digit: nothing cancels."""
    rng = np.random.default_rng(0)
    shapes = (8, 3, 5), (5, 16), (16,), (3, 4), (3, 4), (4, 16)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    arrays[4][1] = 1e8
    gradients = []
    for f, dtype in ((lstm_sequence, np.float32), (lstm_sequence_reference, np.float64)):
        with using_config("use_onednn", False):
            leaves = [Variable(a.astype(dtype)) for a in arrays]
            f(*leaves).sum().backward()
            gradients.append([leaf.grad.data for leaf in leaves])
    for found, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())
