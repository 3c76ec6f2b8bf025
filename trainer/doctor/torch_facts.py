"""Prints what torch sees as one line of JSON: `python -m trainer.doctor.torch_facts`."""

import json


def main() -> None:
    """Import torch and tell its version and devices, or why it can't be imported."""
    try:
        import torch
    except (ImportError, OSError, RuntimeError) as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        return
    devices = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
    facts = {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "devices": devices,
        "bf16": bool(devices) and torch.cuda.is_bf16_supported(),
        "mps": torch.backends.mps.is_available(),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
