"""Every known message of a failure is known for what it is, and leads to the advice for that failure."""

import errno
from pathlib import Path

import pytest

from trainer.errors import AppError
from trainer.faults import Diverged, FaultKind, asked_bytes, device_advice, explain, is_out_of_memory, kind_of


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


class AcceleratorError(RuntimeError):
    """Named as torch's."""


MEMORY = [
    OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    OutOfMemoryError("HIP out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.98 GiB"),
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    RuntimeError("CUDA error: out of memory"),
    AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("CUDA driver error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUSOLVER_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. Failed to allocate workspace of 1073741824 bytes."),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
    RuntimeError("HIP error: hipErrorOutOfMemory"),
    RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 68719476736 bytes."),
    RuntimeError("cuMemAlloc failed with CUDA_ERROR_OUT_OF_MEMORY"),
    RuntimeError("cudaMalloc failed: memory"),
    RuntimeError("NVRM: Out of memory [NV_ERR_NO_MEMORY]"),
    RuntimeError("unable to mmap 1 bytes: Cannot allocate memory (12)"),
]

BROKEN = [
    AcceleratorError("CUDA error: an illegal memory access was encountered\nCompile with ..."),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: unspecified launch failure"),
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("CUDA error: misaligned address"),
    RuntimeError("CUDA error: an illegal instruction was encountered"),
    RuntimeError("CUDA error: uncorrectable ECC error encountered"),
    RuntimeError("CUDA error: the launch timed out and was terminated"),
    RuntimeError("CUDA error: unknown error"),
    RuntimeError("CUDA error: device lost"),
    RuntimeError("GPU has fallen off the bus"),
    RuntimeError("NVRM: Xid (PCI:0000:01:00): 79"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_INTERNAL_ERROR when calling `cublasLtMatmul`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This may appear for a non-contiguous input."),
    RuntimeError("HIP error: an illegal memory access was encountered"),
]  # fmt: skip

FULL_DISK = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    RuntimeError("[enforce fail at inline_container.cc:668] . PytorchStreamWriter failed writing file data/0"),
    RuntimeError("Error: No space left on device (os error 28)"),
]

OTHER = [
    RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
    ValueError("out of memory"),
    KeyError("CUDA error"),
    OSError(errno.EACCES, "Permission denied"),
    AppError("No pictures", "out of memory", ""),
]


@pytest.mark.parametrize("error", MEMORY, ids=str)
def test_memory_that_ran_out_is_known_by_type_and_by_message(error: Exception) -> None:
    assert kind_of(error) is FaultKind.MEMORY
    assert "gradient_checkpointing" in explain(error, Path("run"), Path("worker.log")).hint


@pytest.mark.parametrize("error", BROKEN, ids=str)
def test_a_broken_device_is_known_and_never_taken_for_want_of_memory(error: Exception) -> None:
    assert kind_of(error) is FaultKind.CUDA
    assert not is_out_of_memory(error)


@pytest.mark.parametrize("error", FULL_DISK, ids=str)
def test_a_full_disk_is_known_whoever_tells_of_it(error: Exception) -> None:
    assert kind_of(error) is FaultKind.DISK


@pytest.mark.parametrize("error", OTHER, ids=str)
def test_other_errors_are_no_fault_that_a_restart_mends(error: Exception) -> None:
    assert kind_of(error) is None


def test_divergence_is_known_by_type_and_a_fault_by_its_cause() -> None:
    assert kind_of(Diverged("Training diverged", "m", details={"pictures": ["a.png"]})) is FaultKind.NAN
    wrapped = RuntimeError("the step failed")
    wrapped.__cause__ = MEMORY[0]
    assert kind_of(wrapped) is FaultKind.MEMORY


@pytest.mark.parametrize(
    ("said", "num_bytes"),
    [
        ("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has", 20 << 20),
        ("Tried to allocate 1.50 GiB (GPU 0; 7.79 GiB total capacity", 3 << 29),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes. Error", 4096),
        ("CUDA error: out of memory", None),
    ],
)
def test_what_was_asked_for_is_read_from_the_message(said: str, num_bytes: int | None) -> None:
    assert asked_bytes(RuntimeError(said)) == num_bytes


def test_each_fault_of_a_card_has_advice_of_its_own() -> None:
    advice = [device_advice(str(error)) for error in BROKEN]
    assert "nvidia-smi -q -d ECC" in device_advice("CUDA error: uncorrectable ECC error encountered")
    assert "power" in device_advice("GPU has fallen off the bus")
    assert "micro_batch" in device_advice("the launch timed out and was terminated")
    assert all("resume the run" in each for each in advice)
    assert len(set(advice)) >= 6


def test_each_kind_of_failure_says_what_where_and_what_to_do() -> None:
    def told(error: Exception) -> AppError:
        return explain(error, Path("some/run"), Path("some/run/worker.log"))

    full = told(OSError(28, "No space left on device", "some/run/state/x"))
    assert "some/run/state/x" in full.message
    assert "resume" in full.hint
    broken = told(RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with ..."))
    assert broken.title == "GPU fault"
    assert "driver" in broken.hint
    bug = told(KeyError("\x1b[31m"))
    assert "worker.log" in bug.message
    assert "\x1b" not in str(bug)
    mine = AppError("a", "b", "c")
    assert told(mine) is mine
