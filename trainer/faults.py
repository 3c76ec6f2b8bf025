"""What went wrong in a worker, told as what happened, where, and what to do."""

from pathlib import Path

from trainer.errors import AppError
from trainer.text import printable

OUT_OF_MEMORY_TEXTS = (
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "can't allocate memory",
    "not enough memory",
)
"""Parts of the messages of CUDA, cuBLAS, cuDNN, MPS and torch's CPU allocator."""

BROKEN_DEVICE_TEXTS = (
    "illegal memory access",
    "unspecified launch failure",
    "device-side assert",
    "uncorrectable ECC",
    "device lost",
    "fallen off the bus",
    "CUDA error",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that memory ran out, by type and by message."""
    if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY_TEXTS)


def explain(error: Exception, run: Path, log: Path) -> AppError:
    """Return any failure of a run as a message for people.

    Args:
        error: What was raised.
        run: The run's folder.
        log: Where its traceback is.
    """
    if isinstance(error, AppError):
        return error
    said = printable((str(error).splitlines() or [type(error).__name__])[0])
    if is_out_of_memory(error):
        return AppError(
            "Out of memory",
            said,
            f"In {printable(run / 'run.toml')} set gradient_checkpointing = true or micro_batch = 1 under [memory], "
            "or a smaller size under [data]; then resume the run.",
        )
    if isinstance(error, OSError):
        where = printable(error.filename or run)
        return AppError(
            "File error",
            f"{printable(error.strerror or error)}: {where}.",
            "Make room or mend the path, then resume the run; nothing that was saved is lost.",
        )
    if isinstance(error, RuntimeError) and any(text in str(error) for text in BROKEN_DEVICE_TEXTS):
        return AppError(
            "GPU fault",
            said,
            'Resume the run: it goes on from its last state. If it happens again, set precision = "fp32" under '
            f"[memory] in {printable(run / 'run.toml')} and look at `nvidia-smi` for errors of the card.",
        )
    return AppError(
        "Internal error",
        f"The worker met a bug ({type(error).__name__}); the traceback is in {printable(log)}.",
        "Resume the run to go on from its last state, and report the traceback.",
    )
