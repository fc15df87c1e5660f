"""What works on this machine, and what can be done about what does not."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from minitorch import cuda, datasets
from minitorch.cpu import blas
from minitorch.cpu.onednn import library as onednn
from minitorch.cpu.threads import get_num_threads
from minitorch.datasets.download import cache_dir, checkout_data
from minitorch.errors import MinitorchError
from minitorch.serialize import FolderLock
from minitorch.serialize.atomic import replacing
from minitorch.trainer.run_record import machine, versions

GIB = 2**30
MEMORY = Path("/proc/meminfo")
# By extra, the module that it is installed for.
EXTRAS = {
    "images": "PIL", "plots": "matplotlib", "tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb",
    "monitor": "psutil",
}  # fmt: skip
Finding = tuple[str, str, str]  # what, how it is, what to do about it: "" where it is well; "!" first where it is bad


def examination() -> tuple[list[str], bool]:
    """Lines for all that was looked at, each with the remedy below it, and whether all is well."""
    findings = [finding for part in (_software, _host, _gpu, _data, _disk, _extras) for finding in part()]
    width = max(len(what) for what, _, _ in findings)
    lines = []
    for what, how, remedy in findings:
        lines.append(f"{what:<{width}}  {how}")
        if remedy:
            lines.append(f"{'':<{width}}  -> {remedy.removeprefix('!')}")
    bad = [what for what, _, remedy in findings if remedy.startswith("!")]
    lines.append(f"something is wrong: {', '.join(bad)}" if bad else "all that is needed works")
    return lines, not bad


def _software() -> Iterator[Finding]:
    for name, version in versions().items():
        yield name, version, ""


def _host() -> Iterator[Finding]:
    about = machine()
    yield "system", about["system"], ""
    yield "processor", about["processor"], ""
    cores, all_cores = about["cores"], os.cpu_count() or 1
    yield "cores", f"{cores}" + (f" of {all_cores}, as this process is limited" if cores < all_cores else ""), ""
    library = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    threads = blas.get_num_threads()
    how = f"{library.get('name', 'unknown')} {library.get('version', '')}, "
    how += "threads unknown" if threads is None else f"{threads} threads"
    remedy = ""
    if threads is not None and threads > cores:
        remedy = f"!more threads than cores make each other wait: export OPENBLAS_NUM_THREADS={cores}"
    yield "BLAS", how, remedy
    found = onednn.find()
    remedy = "" if found.library is not None else "pip install minitorch[fast] (Linux, x86-64)"
    yield "oneDNN", found.how if found.library is not None else f"not used: {found.how}", remedy
    yield "threads of kernels", str(get_num_threads()), ""
    yield "float32 products", f"{_gigaflops():.0f} GFLOP/s", ""
    slower = _denormals()
    yield (
        "denormal numbers",
        f"{slower:.1f} times slower than others" if slower > 2 else "as fast as others",
        "optimizers of minitorch set what fades to zero; own loops may not" if slower > 2 else "",
    )
    yield from _memory()


def _memory() -> Iterator[Finding]:
    if MEMORY.exists():
        sizes = dict(line.split(":") for line in MEMORY.read_text().splitlines())
        total, free = (int(sizes[name].split()[0]) * 1024 / GIB for name in ("MemTotal", "MemAvailable"))
        yield "memory", f"{free:.1f} GiB available of {total:.1f}", "" if free > 1 else "end other programs"


def _gpu() -> Iterator[Finding]:
    driver = Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None
    try:
        device = cuda.Device("cuda")
        with device:
            x = cuda.as_cupy(np.ones((8, 8), np.float32))
            correct = float((x @ x).sum()) == 512
        yield "GPU", f"{device}, {device.memory()}", "" if correct else "!it computes wrongly: update driver and CuPy"
    except MinitorchError as error:
        if driver:
            yield "GPU", f"the machine has one, and it does not work: {error}", "!install CuPy for its CUDA: see above"
        else:
            yield "GPU", f"none is used: {str(error).splitlines()[0]}", ""
    except Exception as error:  # whatever CuPy or the driver raises is what the user wants to know
        yield "GPU", f"it does not work: {error!r}", "!update driver and CuPy, or train with device='cpu'"


def _data() -> Iterator[Finding]:
    given = os.environ.get("MINITORCH_DATA")
    roots = [Path(given).expanduser()] if given else []
    if given and not roots[0].is_dir():
        yield "MINITORCH_DATA", f"{given} is no folder", "!make it, or unset the variable"
    roots += [checkout_data(), cache_dir()]
    for name in datasets.__all__:
        kind = getattr(datasets, name)
        folder = getattr(kind, "name", None) if isinstance(kind, type) else None
        if isinstance(folder, str):
            found = [root / folder for root in roots if (root / folder).is_dir() and any((root / folder).iterdir())]
            yield f"data {name}", str(found[0]) if found else f"not here; downloaded to {cache_dir() / folder}", ""


def _disk() -> Iterator[Finding]:
    here = Path.cwd()
    yield "disk", f"{shutil.disk_usage(here).free / GIB:.1f} GiB free in {here}", ""
    try:
        with tempfile.TemporaryDirectory(dir=here, prefix=".minitorch-doctor-") as folder:
            began = time.perf_counter()
            with replacing(Path(folder) / "file", 1) as file:
                file.write(b"x")
            seconds = time.perf_counter() - began
            FolderLock(Path(folder)).release()
        yield "checkpoints", f"can be written here, a small one in {1e3 * seconds:.1f} ms; folders can be locked", ""
    except (MinitorchError, OSError) as error:
        yield "checkpoints", f"cannot be written here: {error}", "!run in another folder, or name one"


def _extras() -> Iterator[Finding]:
    for extra, module in EXTRAS.items():
        if find_spec(module) is None:
            yield f"extra {extra}", "not installed", f"pip install minitorch[{extra}]"
        else:
            version = ""
            with contextlib.suppress(metadata.PackageNotFoundError):
                version = f" {metadata.version('pillow' if module == 'PIL' else module)}"
            yield f"extra {extra}", f"installed: {module}{version}", ""


def _gigaflops() -> float:
    n = 1024
    a = np.ones((n, n), np.float32)
    return 2 * n**3 / _best(lambda: a @ a) / 1e9


def _denormals() -> float:
    """How many times slower arithmetic on denormal numbers is."""
    x = np.full(100_000, 1e-39, np.float32)
    y = np.full(100_000, 1e-3, np.float32)
    return _best(lambda: x * np.float32(0.5)) / _best(lambda: y * np.float32(0.5))


def _best(call: Callable[[], Any]) -> float:
    """The seconds of the fastest of seven calls."""
    seconds = []
    for _ in range(7):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds)
