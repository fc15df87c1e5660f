"""What CuPy 14.2 has of NumPy's functions and methods, with the parameters that CuPy gives them.

Left out are files, printing, polynomials and window functions. `tests/test_fake_cupy.py` compares these tables with
CuPy itself where it is installed.
"""

# ruff: noqa: SIM905  # words are read more easily than strings in commas

# names that CuPy takes over from NumPy as they are
SAME = """
bool bool_ byte complex64 complex128 complexfloating double dtype e euler_gamma finfo float16 float32 float64 floating
generic half iinfo index_exp inexact inf int8 int16 int32 int64 int_ intc integer intp isdtype issubdtype iterable long
longlong nan ndindex newaxis number pi s_ short signedinteger single ubyte uint uint8 uint16 uint32 uint64 uintc uintp
ulong ulonglong unsignedinteger ushort can_cast broadcast_shapes promote_types isscalar
""".split()

UFUNCS = """
abs absolute acos acosh add arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2 atanh
bitwise_and bitwise_count bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor
cbrt ceil conj conjugate copysign cos cosh deg2rad degrees divide divmod equal exp exp2 expm1 fabs fix float_power
floor floor_divide fmax fmin fmod frexp gcd greater greater_equal heaviside hypot i0 invert isfinite isinf isnan lcm
ldexp left_shift less less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or
logical_xor maximum minimum mod modf multiply negative nextafter not_equal positive pow power rad2deg radians
reciprocal remainder right_shift rint sign signbit sin sinc sinh sqrt square subtract tan tanh true_divide trunc
""".split()

# name: parameters; * and ** as in a signature
FUNCTIONS = {
    "all": "a axis out keepdims",
    "allclose": "a b rtol atol equal_nan",
    "amax": "a axis out keepdims",
    "amin": "a axis out keepdims",
    "angle": "z deg",
    "any": "a axis out keepdims",
    "append": "arr values axis",
    "arange": "start stop step dtype",
    "argmax": "a axis dtype out keepdims",
    "argmin": "a axis dtype out keepdims",
    "argpartition": "a kth axis",
    "argsort": "a axis kind",
    "argwhere": "a",
    "around": "a decimals out",
    "array_equal": "a1 a2 equal_nan",
    "array_equiv": "a1 a2",
    "array_split": "ary indices_or_sections axis",
    "astype": "x dtype copy",
    "atleast_1d": "*arys",
    "atleast_2d": "*arys",
    "atleast_3d": "*arys",
    "average": "a axis weights returned keepdims",
    "bincount": "x weights minlength",
    "broadcast_arrays": "*args",
    "broadcast_to": "array shape",
    "choose": "a choices out mode",
    "clip": "a a_min a_max out",
    "column_stack": "tup",
    "compress": "condition a axis out",
    "concat": "tup axis out dtype casting",
    "concatenate": "tup axis out dtype casting",
    "convolve": "a v mode",
    "copyto": "dst src casting where",
    "corrcoef": "a y rowvar bias ddof dtype",
    "correlate": "a v mode",
    "count_nonzero": "a axis",
    "cov": "a y rowvar bias ddof fweights aweights dtype",
    "cross": "a b axisa axisb axisc axis",
    "cumprod": "a axis dtype out",
    "cumsum": "a axis dtype out",
    "cumulative_prod": "x axis dtype out include_initial",
    "cumulative_sum": "x axis dtype out include_initial",
    "delete": "arr indices axis",
    "diag": "v k",
    "diag_indices": "n ndim",
    "diag_indices_from": "arr",
    "diagflat": "v k",
    "diagonal": "a offset axis1 axis2",
    "diff": "a n axis prepend append",
    "digitize": "x bins right",
    "dot": "a b out",
    "dsplit": "ary indices_or_sections",
    "dstack": "tup",
    "ediff1d": "arr to_end to_begin",
    "einsum": "*operands **kwargs",
    "expand_dims": "a axis",
    "extract": "condition a",
    "eye": "N M k dtype order",
    "fill_diagonal": "a val wrap",
    "flatnonzero": "a",
    "flip": "a axis",
    "fliplr": "a",
    "flipud": "a",
    "full": "shape fill_value dtype order",
    "full_like": "a fill_value dtype order subok shape",
    "gradient": "f *varargs axis edge_order",
    "histogram": "x bins range density weights",
    "histogram2d": "x y bins range weights density",
    "histogramdd": "sample bins range weights density",
    "hsplit": "ary indices_or_sections",
    "hstack": "tup dtype casting",
    "identity": "n dtype",
    "imag": "val",
    "indices": "dimensions dtype",
    "inner": "a b",
    "intersect1d": "arr1 arr2 assume_unique return_indices",
    "isclose": "a b rtol atol equal_nan",
    "iscomplex": "x",
    "iscomplexobj": "x",
    "isin": "element test_elements assume_unique invert",
    "isneginf": "x out",
    "isposinf": "x out",
    "isreal": "x",
    "isrealobj": "x",
    "ix_": "*args",
    "kron": "a b",
    "lexsort": "keys",
    "linspace": "start stop num endpoint retstep dtype axis",
    "logspace": "start stop num endpoint base dtype axis",
    "matrix_transpose": "x",
    "max": "a axis out keepdims",
    "may_share_memory": "a b max_work",
    "mean": "a axis dtype out keepdims",
    "median": "a axis out overwrite_input keepdims",
    "meshgrid": "*xi **kwargs",
    "min": "a axis out keepdims",
    "moveaxis": "a source destination",
    "nan_to_num": "x copy nan posinf neginf",
    "nanargmax": "a axis dtype out keepdims",
    "nanargmin": "a axis dtype out keepdims",
    "nancumprod": "a axis dtype out",
    "nancumsum": "a axis dtype out",
    "nanmax": "a axis out keepdims",
    "nanmean": "a axis dtype out keepdims",
    "nanmedian": "a axis out overwrite_input keepdims",
    "nanmin": "a axis out keepdims",
    "nanprod": "a axis dtype out keepdims",
    "nanstd": "a axis dtype out ddof keepdims",
    "nansum": "a axis dtype out keepdims",
    "nanvar": "a axis dtype out ddof keepdims",
    "ndim": "a",
    "nonzero": "a",
    "ones": "shape dtype order",
    "ones_like": "a dtype order subok shape",
    "outer": "a b out",
    "packbits": "a axis bitorder",
    "pad": "array pad_width mode **kwargs",
    "partition": "a kth axis",
    "percentile": "a q axis out overwrite_input method keepdims interpolation",
    "permute_dims": "a axes",
    "prod": "a axis dtype out keepdims",
    "ptp": "a axis out keepdims",
    "put_along_axis": "arr indices values axis",
    "quantile": "a q axis out overwrite_input method keepdims interpolation",
    "ravel": "a order",
    "ravel_multi_index": "multi_index dims mode order",
    "real": "val",
    "repeat": "a repeats axis",
    "reshape": "a newshape order copy",
    "roll": "a shift axis",
    "rollaxis": "a axis start",
    "rot90": "a k axes",
    "round": "a decimals out",
    "searchsorted": "a v side sorter",
    "setdiff1d": "ar1 ar2 assume_unique",
    "setxor1d": "ar1 ar2 assume_unique",
    "shape": "a",
    "shares_memory": "a b max_work",
    "sort": "a axis kind",
    "split": "ary indices_or_sections axis",
    "squeeze": "a axis",
    "stack": "tup axis out dtype casting",
    "std": "a axis dtype out ddof keepdims",
    "sum": "a axis dtype out keepdims",
    "swapaxes": "a axis1 axis2",
    "take": "a indices axis out",
    "take_along_axis": "a indices axis",
    "tensordot": "a b axes",
    "tile": "A reps",
    "trace": "a offset axis1 axis2 dtype out",
    "transpose": "a axes",
    "trapezoid": "y x dx axis",
    "tri": "N M k dtype",
    "tril": "m k",
    "tril_indices": "n k m",
    "tril_indices_from": "arr k",
    "trim_zeros": "filt trim",
    "triu": "m k",
    "triu_indices": "n k m",
    "triu_indices_from": "arr k",
    "union1d": "arr1 arr2",
    "unique": "ar return_index return_inverse return_counts axis equal_nan",
    "unique_all": "x",
    "unique_counts": "x",
    "unique_inverse": "x",
    "unique_values": "x",
    "unpackbits": "a axis bitorder",
    "unravel_index": "indices dims order",
    "vander": "x N increasing",
    "var": "a axis dtype out ddof keepdims",
    "vdot": "a b",
    "vsplit": "ary indices_or_sections",
    "vstack": "tup dtype casting",
    "where": "condition x y",
    "zeros": "shape dtype order",
    "zeros_like": "a dtype order subok shape",
}

LINALG = {
    "cholesky": "a",
    "det": "a",
    "eigh": "a UPLO",
    "eigvalsh": "a UPLO",
    "inv": "a",
    "norm": "x ord axis keepdims",
    "pinv": "a rcond",
    "qr": "a mode",
    "slogdet": "a",
    "solve": "a b",
    "svd": "a full_matrices compute_uv",
}

# methods of ndarray that do to the array what NumPy's do
METHODS = {
    "all": "axis out keepdims",
    "any": "axis out keepdims",
    "argmax": "axis out dtype keepdims",
    "argmin": "axis out dtype keepdims",
    "argpartition": "kth axis",
    "argsort": "axis kind",
    "choose": "choices out mode",
    "clip": "min max out",
    "compress": "condition axis out",
    "conj": "",
    "conjugate": "",
    "copy": "order",
    "cumprod": "axis dtype out",
    "cumsum": "axis dtype out",
    "diagonal": "offset axis1 axis2",
    "dot": "b out",
    "fill": "value",
    "flatten": "order",
    "max": "axis out keepdims",
    "mean": "axis dtype out keepdims",
    "min": "axis out keepdims",
    "nonzero": "",
    "partition": "kth axis",
    "prod": "axis dtype out keepdims",
    "put": "indices values mode",
    "ravel": "order",
    "repeat": "repeats axis",
    "reshape": "*shape order copy",
    "round": "decimals out",
    "searchsorted": "v side sorter",
    "sort": "axis kind",
    "squeeze": "axis",
    "std": "axis dtype out ddof keepdims",
    "sum": "axis dtype out keepdims",
    "swapaxes": "axis1 axis2",
    "take": "indices axis out",
    "trace": "offset axis1 axis2 dtype out",
    "transpose": "*axes",
    "var": "axis dtype out ddof keepdims",
}

# what of `cupy.cuda` the stand-in has, which is all that minitorch and `scripts/gpu` may use: parameters, or None of
# what nobody calls
CUDA = {
    "Device": "device",
    "Device.compute_capability": None,
    "Device.mem_info": None,
    "Device.synchronize": "",
    "Device.use": "",
    "Event": "block disable_timing interprocess",
    "Event.record": "stream",
    "Event.synchronize": "",
    "Graph.launch": "stream",
    "Graph.upload": "stream",
    "MemoryPointer": "mem offset",
    "MemoryPool": "allocator",
    "MemoryPool.free_all_blocks": "stream",
    "MemoryPool.malloc": "size",
    "MemoryPool.total_bytes": "",
    "MemoryPool.used_bytes": "",
    "Stream": "null non_blocking ptds priority",
    "Stream.begin_capture": "mode",
    "Stream.end_capture": "",
    "Stream.is_capturing": "",
    "Stream.null": None,
    "Stream.record": "event",
    "Stream.synchronize": "",
    "Stream.use": "",
    "Stream.wait_event": "event",
    "UnownedMemory": "ptr size owner device_id",
    "alloc_pinned_memory": "size",
    "get_allocator": "",
    "get_current_stream": "device_id",
    "get_elapsed_time": "start_event end_event",
    "is_available": "",
    "runtime.CUDARuntimeError": None,
    "runtime.deviceSynchronize": "",
    "runtime.driverGetVersion": "",
    "runtime.getDevice": "",
    "runtime.getDeviceCount": "",
    "runtime.getDeviceProperties": "device",
    "runtime.memGetInfo": "",
    "runtime.memcpyAsync": "dst src size kind stream",
    "runtime.runtimeGetVersion": "",
    "runtime.setDevice": "device",
    "runtime.streamCaptureModeGlobal": None,
    "runtime.streamCaptureModeRelaxed": None,
    "runtime.streamCaptureModeThreadLocal": None,
    "runtime.streamSynchronize": "stream",
    "using_allocator": "allocator",
}

# attributes that a stream, an event, ... of the stand-in has (and `ptr` of a stream, which CuPy sets in each)
CUDA_ATTRIBUTES = (
    "Device.id Event.done MemoryPointer.device_id MemoryPointer.mem MemoryPointer.ptr Stream.priority".split()
)

# These ask cuBLAS, which CuPy refuses to call while a stream is captured, and which `minitorch.cuda.gemm` is there for.
PRODUCTS = frozenset("convolve correlate corrcoef cov dot einsum inner matmul tensordot vdot".split())

# These may give a view, which is no work for the device.
VIEWS = frozenset(
    "array_split as_strided asarray astype atleast_1d atleast_2d atleast_3d broadcast_arrays broadcast_to diagonal "
    "dsplit expand_dims flip fliplr flipud hsplit moveaxis permute_dims ravel real reshape rollaxis rot90 "
    "sliding_window_view split squeeze swapaxes transpose view vsplit".split()
)

# Of more than eight arrays these send a table of addresses to the device.
JOINING = frozenset("column_stack concat concatenate dstack hstack stack vstack".split())

# The size of what these return depends on values, or they sort by Thrust, so the host waits for the device.
SYNCHRONISING = frozenset(
    "argpartition argsort lexsort median partition percentile quantile sort "
    "argwhere bincount compress delete extract flatnonzero histogram histogram2d histogramdd intersect1d nonzero "
    "setdiff1d setxor1d trim_zeros union1d unique unique_all unique_counts unique_inverse unique_values".split()
)

# These take no array at all; every other function wants one on the device.
WITHOUT_ARRAYS = frozenset(
    "arange diag_indices eye full geomspace identity indices ix_ linspace logspace ones tri tril_indices triu_indices "
    "zeros".split()
)
