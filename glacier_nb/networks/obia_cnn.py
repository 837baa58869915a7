"""The small networks whose heat maps an object-based analysis reads: Robson et al. 2020, Thomas et al. 2023."""

from collections.abc import Sequence

import torch
from torch import nn


class HeatMap(nn.Module):
    """Convolutions of 3x3 pixels at full size, and a 1x1 layer: five layers, no pooling.

    channels: of the input. scores: number of zones. widths: channels per 3x3 layer. Both papers speak of a network of
    five layers and describe none (Robson et al. 2020, doi:10.1016/j.rse.2020.112033; Thomas et al. 2023,
    doi:10.3389/frsen.2023.1161530): the widths are a plain choice.

    forward: (batch, channel, y, x) of any size -> zones (batch, score, y, x), raw scores.

    >>> tuple(HeatMap(3, 2, (4,))(torch.zeros(1, 3, 5, 7))["zones"].shape)
    (1, 2, 5, 7)
    """

    stride = 1

    def __init__(self, channels: int, scores: int = 1, widths: Sequence[int] = (32, 64, 128, 128)):
        super().__init__()
        layers = []
        for inner, outer in zip((channels, *widths), widths, strict=False):
            layers += [nn.Conv2d(inner, outer, 3, padding=1), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], scores, 1))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of a batch."""
        return {"zones": self.layers(x)}
