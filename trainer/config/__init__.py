"""Every setting of a run, defined once: bounds, default, unit and help text.

The command line's `--set`, the wizard's fields and the documentation are made from these models.
"""

from trainer.config.model import RunConfig, Section
from trainer.config.presets import Preset, load_preset, preset_names, save_preset
from trainer.config.read import build_config, config_toml, parse_assignments, read_config

__all__ = [
    "Preset",
    "RunConfig",
    "Section",
    "build_config",
    "config_toml",
    "load_preset",
    "parse_assignments",
    "preset_names",
    "read_config",
    "save_preset",
]
