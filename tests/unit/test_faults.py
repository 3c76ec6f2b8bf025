"""Every known message of a failure leads to the advice for that failure."""

from pathlib import Path

import pytest

from trainer.errors import AppError
from trainer.faults import explain, is_out_of_memory


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        MemoryError(),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."),
    ],
)
def test_memory_that_ran_out_is_known_by_type_and_by_message(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert "gradient_checkpointing" in explain(error, Path("run"), Path("worker.log")).hint


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("out of memory"), OSError(28, "x")]
)
def test_other_errors_are_not_taken_for_it(error: Exception) -> None:
    assert not is_out_of_memory(error)


def test_each_kind_of_failure_says_what_where_and_what_to_do() -> None:
    def told(error: Exception) -> AppError:
        return explain(error, Path("some/run"), Path("some/run/worker.log"))

    full = told(OSError(28, "No space left on device", "some/run/state/x"))
    assert "some/run/state/x" in full.message
    assert "resume" in full.hint
    broken = told(RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with ..."))
    assert broken.title == "GPU fault"
    assert "fp32" in broken.hint
    bug = told(KeyError("\x1b[31m"))
    assert "worker.log" in bug.message
    assert "\x1b" not in str(bug)
    mine = AppError("a", "b", "c")
    assert told(mine) is mine
