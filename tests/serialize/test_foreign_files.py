"""Files of other tools are read, and other tools read ours."""

import json

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

from minitorch.errors import DTypeError
from minitorch.serialize import ArrayInfo, describe, load, save, verify

FLOATS, SIGNED = ["float16", "float32", "float64"], ["int8", "int16", "int32", "int64"]
DTYPES = ["bool", *FLOATS, *SIGNED, *(f"u{name}" for name in SIGNED)]


def foreign_file(path, entries, body, metadata=None):
    """Write a file as another tool might; `entries` maps a name to (dtype code, shape, begin, end)."""
    tree = {} if metadata is None else {"__metadata__": metadata}
    for name, (code, shape, begin, end) in entries.items():
        tree[name] = {"dtype": code, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(tree).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def test_package_reads_our_files(path):
    """The safetensors package reads what we write, metadata included."""
    arrays = {"l0/W": np.arange(6, dtype="f4").reshape(2, 3)[::-1], "é": np.array(True), "e": np.zeros((0, 2), "u2")}
    save(path, arrays, {"step": 3})
    theirs = safetensors.numpy.load_file(path)
    assert theirs.keys() == arrays.keys()
    for name, a in arrays.items():
        np.testing.assert_array_equal(theirs[name], a, strict=True)
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    assert (metadata["format"], metadata["format_version"]) == ("minitorch", "1")
    assert json.loads(metadata["meta"]) == {"step": 3}
    assert len(metadata["checksum"]) == 64


def test_layout_is_that_of_the_package(path):
    """Our arrays lie where the package would put them, so that each is aligned to its own size."""
    arrays = {dtype: np.ones(3, dtype) for dtype in [*FLOATS, "bool"]}
    save(path, arrays)
    ours, theirs = path.read_bytes(), safetensors.numpy.save(arrays)

    def header(content):
        tree = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        tree.pop("__metadata__", None)
        return tree

    assert header(ours) == header(theirs)
    assert int.from_bytes(ours[:8], "little") % 8 == 0


def test_we_read_files_of_the_package(path):
    """A file without our metadata loads: no meta, no checksum, arrays as usual."""
    arrays = {name: np.ones((2, 3), name) for name in DTYPES}
    safetensors.numpy.save_file(arrays, path, metadata={"format": "pt", "meta": "no JSON"})
    loaded = load(path)
    verify(path)
    assert loaded.meta == {}
    assert describe(path).format_version is None
    assert loaded.arrays.keys() == arrays.keys()
    for name, a in loaded.arrays.items():
        np.testing.assert_array_equal(a, arrays[name], strict=True)
        assert a.flags.owndata
        assert a.flags.writeable


@pytest.mark.parametrize("shape", [[6], [2, 3], [1, 6, 1]])
def test_bfloat16_is_widened(path, shape):
    """bfloat16 of another tool becomes float32 with the same value: NaNs, infinities, subnormals and signed zeros."""
    bits = np.array([0x3F80, 0xC049, 0x8000, 0x7F80, 0x7FC1, 0x0001], "<u2")
    body = np.array(7, "<i4").tobytes() + bits.tobytes()
    foreign_file(path, {"w": ("BF16", shape, 4, 16), "n": ("I32", [], 0, 4)}, body)
    loaded = load(path).arrays
    assert loaded["w"].dtype == np.float32
    assert loaded["w"].shape == tuple(shape)
    assert loaded["w"].flags.owndata
    assert loaded["w"].view(np.uint32).ravel().tolist() == [int(b) << 16 for b in bits]
    assert loaded["w"].ravel()[:3].tolist() == [1.0, -3.140625, -0.0]
    assert loaded["n"] == 7
    assert describe(path).arrays["w"].dtype == "BF16"


def test_bfloat16_scalar_is_widened(path):
    """A 0-d bfloat16 becomes a 0-d float32 array."""
    foreign_file(path, {"w": ("BF16", [], 0, 2)}, b"\x80\x3f")
    np.testing.assert_array_equal(load(path).arrays["w"], np.array(1, np.float32), strict=True)


@pytest.mark.parametrize(("code", "nbytes"), [("F8_E4M3", 2), ("F8_E5M2", 2), ("F8_E8M0", 2)])
def test_foreign_dtypes_without_an_equal_here(path, code, nbytes):
    """An array that cannot be held raises, naming key and type; the file can still be described."""
    foreign_file(path, {"ok": ("U8", [1], 0, 1), "layer.w": (code, [2], 1, 1 + nbytes)}, bytes(1 + nbytes))
    with pytest.raises(DTypeError, match=f"'layer.w' has dtype {code}, which cannot be read; convert it to F32"):
        load(path)
    assert describe(path).arrays == {"ok": ArrayInfo((1,), "uint8"), "layer.w": ArrayInfo((2,), code)}
