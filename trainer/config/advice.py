"""Combinations of settings that are known to go wrong, said before they cost an hour."""

from trainer.config.model import PORTABLE_ACTIVATIONS, RunConfig
from trainer.schedule import rate_warnings


def warnings_of(config: RunConfig) -> list[str]:
    """Return one sentence for each doubtful combination in `config`."""
    network, optimizer = config.network, config.optimizer
    found = []
    doubts = rate_warnings(optimizer.learning_rate, config.training.steps, config.data.size)
    found += [f"optimizer.learning_rate {doubt}" for doubt in doubts]
    if optimizer.warmup_steps >= config.training.steps:
        found.append(
            f"optimizer.warmup_steps {optimizer.warmup_steps:,} lasts as long as the run, so the rate never gets as "
            f"high as it says; a tenth of training.steps, {config.training.steps // 10:,}, is usual."
        )
    if network.initialization != "Normal" and not network.layer_norm and not network.zero_last_layer:
        found.append(
            f"network.initialization {network.initialization} without layer norm changes the context by about as "
            "much as the context itself, so pictures are ruined at step 0; take Normal."
        )
    if network.layer_norm and any(network.dropout_structure):
        found.append("Layer norm together with dropout is known to diverge; choose one of them.")
    if network.layer_norm and network.activation != "linear":
        found.append("ComfyUI applies layer norm with an activation differently from A1111.")
    if network.activation not in PORTABLE_ACTIVATIONS:
        found.append(f"network.activation {network.activation} works in A1111 only; ComfyUI refuses the file.")
    if network.activation == "linear" and len(network.layer_structure) > 2 and not network.layer_norm:
        found.append("Linear layers without an activation are together one matrix; 1,1 would be as strong.")
    if not config.save.optimizer_state:
        found.append("Without optimizer state a later continuation starts cold and can jump.")
    return found
