"""Which hypernetworks are linear maps, so that they can become an exact change of weights; needs no torch."""

from collections.abc import Sequence


def why_not_exact(
    layer_structure: Sequence[float], activation: str, *, activate_output: bool, is_layer_norm: bool
) -> str:
    """Say what keeps a network from being a linear map; empty where nothing does.

    Args:
        layer_structure: Layer widths as multiples of the context width, first and last included.
        activation: Its name, as in A1111.
        activate_output: Whether it follows the last layer too.
        is_layer_norm: Whether every layer is normed.
    """
    if is_layer_norm:
        return "its layer norm divides by the spread of each context"
    only_layer = len(layer_structure) == 2
    if activation != "linear" and not (only_layer and not activate_output):
        return f"its activation {activation} is not linear"
    return ""
