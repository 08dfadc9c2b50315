"""What is found of GPUs, and what is said where there is none."""

from types import SimpleNamespace

import pytest

from compiler.backends.nvidia import cuda as gpus
from compiler.backends.nvidia.cuda import Gpu, Gpus, alone, checked, find_gpus
from compiler.errors import CompileError
from tests.backends.host_device import HostCuda

ORIN = SimpleNamespace(name=b"Orin\0\0\0", major=8, minor=7)
BLACKWELL = SimpleNamespace(name=b"NVIDIA GeForce RTX 5090", major=12, minor=0)


class Machine(HostCuda):
    """A machine with these GPUs."""

    def __init__(self, *found) -> None:
        super().__init__()
        self.found = found

    def cudaDriverGetVersion(self):  # noqa: N802
        return self.Status.cudaSuccess, 12060

    def cudaGetDeviceCount(self):  # noqa: N802
        return self.Status.cudaSuccess, len(self.found)

    def cudaGetDeviceProperties(self, index):  # noqa: N802
        return self.Status.cudaSuccess, self.found[index]


@pytest.fixture
def machine(monkeypatch):
    def has(*found):
        monkeypatch.setattr(gpus, "_has_driver", lambda: True)
        monkeypatch.setattr(gpus, "load_cuda", lambda: Machine(*found))

    return has


def test_gpus_are_described(machine):
    machine(ORIN, BLACKWELL)
    assert find_gpus() == Gpus((Gpu(0, "Orin", "SM87"), Gpu(1, "NVIDIA GeForce RTX 5090", "SM120")), "12.6")


def test_a_gpu_is_taken_by_its_index(machine):
    machine(ORIN, BLACKWELL)
    assert find_gpus().at(1).capability == "SM120"
    with pytest.raises(CompileError, match="there is no GPU 2") as caught:
        find_gpus().at(2)
    assert caught.value.why == "has 0: Orin, 1: NVIDIA GeForce RTX 5090"


def test_a_driver_without_a_gpu_is_no_gpu(machine):
    machine()
    assert find_gpus().problem == "no GPU: the driver sees none"


def test_no_driver_is_no_gpu(monkeypatch):
    monkeypatch.setattr(gpus.ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    assert find_gpus() == Gpus(problem="no GPU: there is no NVIDIA driver")
    with pytest.raises(CompileError, match="no NVIDIA driver"):
        find_gpus().at(0)


def test_without_cuda_bindings_it_says_what_to_install(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(gpus, "_has_driver", lambda: True)
    monkeypatch.setattr(gpus, "import_module", missing)
    assert find_gpus().problem == "no GPU: cuda-bindings is not installed: pip install cuda-bindings"


def test_a_call_that_fails_says_what_cuda_says():
    with pytest.raises(CompileError, match="CUDA fails: out of memory") as caught:
        checked(HostCuda(), (HostCuda.Status.cudaErrorMemoryAllocation, None))
    assert caught.value.why == "cudaErrorMemoryAllocation"


@pytest.mark.parametrize(
    ("visible", "index", "shown"), [(None, 1, "1"), ("2,5", 1, "5"), ("GPU-aa,GPU-bb", 0, "GPU-aa")]
)
def test_a_process_sees_its_gpu_alone_whichever_of_them_are_visible_here(monkeypatch, visible, index, shown):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert alone(Gpu(index, "NVIDIA A2", "SM86")) == {"CUDA_VISIBLE_DEVICES": shown}
    assert alone(None) == {}
