"""Saving and loading arrays and JSON: round trips are exact, and what cannot make one is refused."""

import ast
import json
import math
import sys
import tracemalloc
import types
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitorch.serialize
from minitorch.errors import ConfigError, DTypeError
from minitorch.serialize import describe, load, save, verify

FLOATS, SIGNED = ["float16", "float32", "float64"], ["int8", "int16", "int32", "int64"]
DTYPES = ["bool", *FLOATS, *SIGNED, *(f"u{name}" for name in SIGNED)]


def same_bits(a, b):
    """Whether two arrays have dtype, shape and every bit in common, whatever their byte order and strides."""
    a, b = (x.astype(x.dtype.newbyteorder("="), order="C", copy=False) for x in (np.asarray(a), np.asarray(b)))
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


@st.composite
def any_array(draw):
    """An array of any dtype that can be saved, with random bits, shape, strides and byte order."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    nbytes = math.prod(shape) * dtype.itemsize
    raw = np.frombuffer(draw(st.binary(min_size=nbytes, max_size=nbytes)), np.uint8)
    a = (raw % 2 if dtype.kind == "b" else raw).view(dtype).reshape(shape)
    layout = draw(st.sampled_from(["C", "transposed", "reversed", "every other", "read-only broadcast"]))
    if layout == "transposed":
        a = a.T
    elif layout == "reversed":
        a = a[tuple(slice(None, None, -1) for _ in shape)]
    elif layout == "every other":
        a = a[(..., slice(None, None, 2))[: len(shape) + 1]] if shape else a
    elif layout == "read-only broadcast":
        a = np.broadcast_to(a, (2, *a.shape))
    return a.astype(a.dtype.newbyteorder(draw(st.sampled_from("<>"))), copy=False)


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter("__metadata__".__ne__)
json_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150)
@given(arrays=st.dictionaries(names, any_array(), max_size=5), meta=st.dictionaries(st.text(max_size=4), json_trees))
def test_round_trip_is_exact(tmp_path_factory, arrays, meta):
    """Any arrays and any JSON come back bit for bit, in arrays that are writable, native and nobody else's."""
    path = tmp_path_factory.getbasetemp() / "round_trip.safetensors"
    save(path, arrays, meta)
    verify(path)
    loaded = load(path)
    assert list(loaded.arrays) == sorted(arrays)
    for name, a in loaded.arrays.items():
        assert same_bits(a, arrays[name]), name
        assert a.flags.owndata
        assert a.flags.writeable
        assert a.flags.c_contiguous
        assert a.dtype.isnative
    assert json.dumps(loaded.meta) == json.dumps(meta)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3, 4)])
def test_every_dtype_and_shape(path, dtype, shape):
    """Each dtype comes back with its own name, in 0-d, empty and ordinary shapes, and in either byte order."""
    a = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    save(path, {"little": a, "big": a.astype(a.dtype.newbyteorder(">")), "reversed": np.flip(a)})
    loaded = load(path).arrays
    assert same_bits(loaded["little"], a)
    assert same_bits(loaded["big"], a)
    assert same_bits(loaded["reversed"], np.flip(a))
    assert loaded["big"].dtype == np.dtype(dtype)


@pytest.mark.parametrize(("dtype", "word"), [("float16", "uint16"), ("float32", "uint32"), ("float64", "uint64")])
@pytest.mark.parametrize("order", "<>")
def test_nan_payloads_and_signed_zeros(path, dtype, word, order):
    """Quiet and signalling NaNs keep their payload, zeros their sign, in either byte order."""
    nan = int(np.array(np.inf, dtype).view(word))
    sign = 1 << (np.dtype(dtype).itemsize * 8 - 1)
    bits = np.array([nan + 1, nan + 5, sign + nan + 3, sign, 0, 1], word)
    stored = bits.astype(np.dtype(word).newbyteorder(order)).view(np.dtype(dtype).newbyteorder(order))
    save(path, {"x": stored})
    assert load(path).arrays["x"].view(word).tolist() == bits.tolist()


def test_numpy_scalar_is_0d(path):
    """A NumPy scalar, such as a sum returns, is saved as a 0-d array."""
    save(path, {"total": np.ones(3, np.float32).sum()})
    assert same_bits(load(path).arrays["total"], np.array(3, np.float32))


def test_nothing_at_all(path):
    """No arrays and no meta make a valid file."""
    save(path, {})
    verify(path)
    assert load(path).arrays == {}
    assert load(path).meta == {}


def test_meta_keeps_what_json_has(path):
    """Numbers that are not finite, integers beyond 64 bits and tuples (as lists) come back."""
    save(path, {}, {"loss": math.nan, "best": [math.inf, -math.inf], "n": 10**50, "shape": (2, 3), "한글": "\ud800"})
    meta = load(path).meta
    assert math.isnan(meta.pop("loss"))
    assert meta == {"best": [math.inf, -math.inf], "n": 10**50, "shape": [2, 3], "한글": "\ud800"}


def test_same_content_same_bytes(tmp_path):
    """The bytes of a file depend on its content alone, not on the order of insertion."""
    save(tmp_path / "a", {"x": np.ones(2), "y": np.ones(2, np.int8)}, {"step": 1})
    save(tmp_path / "b", {"y": np.ones(2, np.int8), "x": np.ones(2)}, {"step": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


VERSION_1 = (
    b'\x18\x01\x00\x00\x00\x00\x00\x00{"__metadata__":{"format":"minitorch","format_version":"1","meta":"{\\"step\\":7}",'
    b'"checksum":"ed1dc046cc42489df15b4b1508ac1616ccfdd35fe6424a445899941dc0077f06"},'
    b'"l0.W":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},'
    b'"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[8,11]}}    '
    b"\x00\x00\xc0?\x00\x00\x00\xc0\x01\x00\x01"
)


def test_format_version_1_is_still_read(path):
    """A file written by the first version of the format loads for ever; its checksum is what it always was."""
    path.write_bytes(VERSION_1)
    loaded = load(path)
    assert same_bits(loaded.arrays["l0.W"], np.array([[1.5, -2.0]], np.float32))
    assert same_bits(loaded.arrays["mask"], np.array([True, False, True]))
    assert loaded.meta == {"step": 7}
    save(path, loaded.arrays, loaded.meta)
    assert path.read_bytes() == VERSION_1


def test_device_arrays_are_copied_one_by_one_and_stay(path, monkeypatch):
    """Of a CuPy array only the bytes are fetched, once; the array itself is left where it is."""

    class DeviceArray:
        def __init__(self, host):
            self.host, self.dtype, self.shape, self.nbytes = host, host.dtype, host.shape, host.nbytes

        def __array__(self, *args, **kwargs):
            raise TypeError("implicit conversion to a NumPy array is not allowed")

    fetched = []
    cupy = types.ModuleType("cupy")
    cupy.ndarray = DeviceArray
    cupy.asnumpy = lambda a: fetched.append(a) or a.host
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    arrays = {"W": DeviceArray(np.arange(6.0).reshape(2, 3).T), "b": DeviceArray(np.ones(2, np.float16))}
    save(path, arrays | {"host": np.zeros(1)})
    assert fetched == [arrays["W"], arrays["b"]]
    assert all(isinstance(a, DeviceArray) for a in arrays.values())
    loaded = load(path).arrays
    assert same_bits(loaded["W"], arrays["W"].host)
    assert same_bits(loaded["b"], arrays["b"].host)


@pytest.mark.gpu
def test_cupy_arrays(path):
    """Real device arrays, contiguous or not, come back as their host copies."""
    cupy = pytest.importorskip("cupy")
    a = cupy.arange(12, dtype=cupy.float32).reshape(3, 4)
    save(path, {"a": a, "transposed": a.T, "reversed": a[::-1, ::2]})
    loaded = load(path).arrays
    assert same_bits(loaded["a"], cupy.asnumpy(a))
    assert same_bits(loaded["transposed"], cupy.asnumpy(a.T))
    assert same_bits(loaded["reversed"], cupy.asnumpy(a[::-1, ::2]))


def test_no_second_copy_in_memory(path):
    """Saving and verifying need memory for a chunk, loading for the arrays and a chunk."""
    size = 32 << 20
    a = np.zeros(size, np.uint8)

    def peak(f, *args):
        tracemalloc.start()
        try:
            f(*args)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(save, path, {"a": a}) < 4 << 20
    assert peak(verify, path) < 4 << 20
    assert peak(describe, path) < 1 << 20
    assert size <= peak(load, path) < size + (4 << 20)


@pytest.mark.parametrize(
    "array",
    [np.zeros(2, complex), np.array([None]), np.array(["a"]), np.zeros(1, "M8[s]"), np.zeros(1, "f4,i4")],
    ids=lambda a: str(a.dtype),
)
def test_other_dtypes_are_refused(path, array):
    """A dtype outside the list raises, naming the key, and nothing is written."""
    with pytest.raises(DTypeError, match=r"'l0\.W' has dtype .*; what can be saved is bool, float16, float32"):
        save(path, {"ok": np.zeros(1), "l0.W": array})
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("thing", [[1.0], 3, None, "x", types.SimpleNamespace(data=np.zeros(2), dtype=np.dtype("f4"))])
def test_what_is_no_array_is_refused(path, thing):
    """Lists, numbers and Variables are no arrays; the error names key and type."""
    with pytest.raises(DTypeError, match=rf"'x' is a {type(thing).__name__}; give an array"):
        save(path, {"x": thing})


@pytest.mark.parametrize(
    ("name", "why"),
    [("", "not empty"), ("__metadata__", "not '__metadata__'"), (3, "a name is a str"), ("a\ud800", "surrogate")],
)
def test_bad_names_are_refused(path, name, why):
    """A name that the format cannot hold raises before anything is written."""
    with pytest.raises(ConfigError, match=f"cannot name an array.*{why}"):
        save(path, {name: np.zeros(1)})
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("meta", "error", "why"),
    [
        ({"a": [0, {"b": np.float32(1)}]}, DTypeError, r"meta\['a'\]\[1\]\['b'\] is a float32; .*float\(x\)"),
        ({"a": {1: 2}}, DTypeError, r"meta\['a'\] has the key 1; keys of JSON are str: use '1'"),
        ({"a": {1, 2}}, DTypeError, r"meta\['a'\] is a set"),
        ({"a": b"x"}, DTypeError, r"meta\['a'\] is a bytes"),
        ({"a": np.zeros(1)}, DTypeError, r"meta\['a'\] is a ndarray; .*save it among the arrays"),
        ([1], DTypeError, "meta is a list; give a dict"),
        ({"a": 10**5000}, ConfigError, "meta cannot be written as JSON: .*4300 digits"),
    ],
    ids=["float32", "int key", "set", "bytes", "array", "list", "long int"],
)
def test_meta_that_is_no_json_is_refused(path, meta, error, why):
    """What JSON would change or lose raises, naming the place."""
    with pytest.raises(error, match=why):
        save(path, {}, meta)
    assert list(path.parent.iterdir()) == []


def test_header_beyond_the_format_is_refused(path, monkeypatch):
    """More names and meta than a header may hold raise before anything is written."""
    monkeypatch.setattr("minitorch.serialize.files.LONGEST", 1000)  # of 100,000,000, to keep the test small
    with pytest.raises(ConfigError, match=r"names and meta take 1,1\d\d bytes, and the format allows 1,000; put long"):
        save(path, {}, {"losses": "x" * 950})
    assert list(path.parent.iterdir()) == []


def test_meta_that_contains_itself_is_refused(path):
    """An endless tree raises our error instead of exhausting the stack."""
    meta = {}
    meta["self"] = meta
    with pytest.raises(ConfigError, match="nested too deep, or contains itself"):
        save(path, {}, meta)


def test_nothing_here_can_run_code():
    """No source of the package pickles, evaluates, executes or imports by name."""
    forbidden = {"pickle", "marshal", "shelve", "dill", "importlib", "eval", "exec", "compile", "__import__"}
    sources = sorted(Path(minitorch.serialize.__file__).parent.glob("*.py"))
    assert len(sources) > 1
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            found = {alias.name.split(".")[0] for alias in node.names} if isinstance(node, ast.Import) else set()
            if isinstance(node, ast.ImportFrom):
                found = {(node.module or "").split(".")[0], *(alias.name for alias in node.names)}
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                found = {node.func.id}
            assert not found & forbidden, f"{source.name}:{node.lineno}"
        assert "allow_pickle" not in source.read_text(encoding="utf-8")
