"""How alike pictures are, told from their latents: cheap, without another network, and honest about what it sees.

Latents are pooled to 8×8 and each channel's mean is taken out; the correlation of what is left is the likeness.
It sees composition, colours and coarse shapes, not the grain.
Tensor axes: C channels, H height, W width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

POOLED = 8


@dataclass(frozen=True)
class Likeness:
    """Finds the training picture that a drawn one is most like.

    Mirror images count as well: 1 is the same composition, 0 is none in common.
    """

    features: Tensor
    """One row of length 1 for each training picture."""
    mirrored: Tensor
    names: Sequence[str]

    @classmethod
    def of(cls, latents: Sequence[Tensor], names: Sequence[str]) -> "Likeness":
        """Take the training pictures' latents_CHW and file names."""
        return cls(
            torch.stack([likeness_feature(latents_CHW) for latents_CHW in latents]),
            torch.stack([likeness_feature(latents_CHW.flip(-1)) for latents_CHW in latents]),
            names,
        )

    def nearest(self, latents_CHW: Tensor) -> tuple[float, str]:
        """Return the likeness and the name of the training picture that is most like these latents."""
        feature = likeness_feature(latents_CHW)
        alike = torch.maximum(self.features @ feature, self.mirrored @ feature)
        place = int(alike.argmax())
        return float(alike[place]), self.names[place]


def variety_of(latents: Sequence[Tensor]) -> float:
    """Return how different pictures are: 1 minus the mean correlation of their latents_CHW, pair by pair."""
    features = torch.stack([likeness_feature(latents_CHW) for latents_CHW in latents])
    alike = features @ features.T
    count = len(features)
    return 1 - float((alike.sum() - alike.trace()) / (count * (count - 1)))


def likeness_feature(latents_CHW: Tensor) -> Tensor:
    """Return what is compared of latents: a vector of length 1."""
    pooled_CHW = F.adaptive_avg_pool2d(latents_CHW.detach().float().cpu()[None], POOLED)[0]
    centred = (pooled_CHW - pooled_CHW.mean(dim=(1, 2), keepdim=True)).flatten()
    feature: Tensor = centred / centred.norm().clamp_min(1e-12)
    return feature
