"""The two baselines of the CaFFe benchmark (Gourmelon et al. 2022, ESSD 14:4287, doi:10.5194/essd-14-4287-2022).

One U-Net with a pyramid of dilated convolutions at its bottom, scoring zones or the calving front.
"""

import functools
import itertools

import torch
from torch import nn

LAYOUT = "torch"
NAMES = ()


def _norm_relu(inner: int, outer: int, kernel: int, dilation: int = 1) -> list[nn.Module]:
    """Convolution without bias, batch norm, ReLU; the size stays."""
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(inner, outer, kernel, padding=padding, dilation=dilation, bias=False)
    return [conv, nn.BatchNorm2d(outer), nn.ReLU()]


class Pair(nn.Module):
    """Two 3x3 convolutions with bias, each with batch norm and LeakyReLU (slope 0.1)."""

    def __init__(self, inner: int, outer: int):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(inner, outer, 3, padding=1),
            nn.BatchNorm2d(outer),
            nn.LeakyReLU(0.1),
            nn.Conv2d(outer, outer, 3, padding=1),
            nn.BatchNorm2d(outer),
            nn.LeakyReLU(0.1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, inner, y, x) -> (batch, outer, y, x)."""
        return self.net(x)


class Down(nn.Module):
    """Max pooling by 2, then a pair."""

    def __init__(self, inner: int, outer: int):
        super().__init__()
        self.net = nn.Sequential(nn.MaxPool2d(2), Pair(inner, outer))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, inner, y, x) -> (batch, outer, y/2, x/2)."""
        return self.net(x)


class Up(nn.Module):
    """2x2 transposed convolution that halves the width, then a pair over [skip, raised]."""

    def __init__(self, width: int):
        super().__init__()
        self.upsample = nn.ConvTranspose2d(width, width // 2, 2, stride=2)
        self.conv = Pair(width, width // 2)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """(batch, width, y, x) and (batch, width/2, 2y, 2x) -> (batch, width/2, 2y, 2x)."""
        return self.conv(torch.cat([skip, self.upsample(x)], dim=1))


class Pyramid(nn.Module):
    """A 1x1 convolution, four dilated 3x3 ones and the mean of the whole patch, side by side, projected back."""

    def __init__(self, width: int, rates: tuple[int, ...] = (1, 2, 4, 8), dropout: float = 0.5):
        super().__init__()
        self.convs = nn.ModuleList(
            [
                nn.Sequential(*_norm_relu(width, width, 1)),
                *(nn.Sequential(*_norm_relu(width, width, 3, rate)) for rate in rates),
                nn.Sequential(nn.AdaptiveAvgPool2d(1), *_norm_relu(width, width, 1)),
            ]
        )
        self.project = nn.Sequential(*_norm_relu(width * (len(rates) + 2), width, 1), nn.Dropout(dropout))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, width, y, x) -> the same."""
        # The last branch is one value a channel; expanding it is what a bilinear resize would give.
        return self.project(torch.cat([conv(x).expand_as(x) for conv in self.convs], dim=1))


class CaffeUNet(nn.Module):
    """U-Net of five levels (32 to 512 channels) with `Pyramid` at the bottom.

    Input: `channels` (1 in the paper: SAR amplitude of the range 0-1, less 0.3047126829624176, divided by
    0.32187142968177795), 256 x 256 in the paper. `term` names the output, `scores` its channels.
    dropout: at the end of the pyramid.
    forward: (batch, channel, y, x), y and x multiples of 16 -> {term: (batch, scores, y, x)}, raw scores.
    Training needs two patches or more a batch (the pooled branch has one value a channel and patch).
    Source: Gourmelon et al. 2022, doi:10.5194/essd-14-4287-2022, and the layer list of its released definition.
    """

    stride = 16

    def __init__(self, channels: int = 1, term: str = "zones", scores: int = 4, dropout: float = 0.5):
        super().__init__()
        widths = (32, 64, 128, 256, 512)
        self.term = term
        self.bottleneck = Pyramid(widths[-1], dropout=dropout)
        self.layers = nn.ModuleList(
            [
                Pair(channels, widths[0]),
                *(Down(inner, outer) for inner, outer in itertools.pairwise(widths)),
                *(Up(width) for width in widths[:0:-1]),
                nn.Conv2d(widths[0], scores, 1),
            ]
        )

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of a batch."""
        *layers, head = self.layers
        skips = []
        for layer in layers[:5]:
            x = layer(x)
            skips.append(x)
        x = self.bottleneck(skips.pop())
        for layer in layers[5:]:
            x = layer(x, skips.pop())
        return {self.term: head(x)}


zones = functools.partial(CaffeUNet, term="zones", scores=4)
"""CaFFe's zone network, scores in the benchmark's order: not available, rock, glacier, ocean; 19,307,012 parameters."""

fronts = functools.partial(CaffeUNet, term="edge", scores=1)
"""CaFFe's front network: score of a front dilated 5 x 5; 19,306,913 parameters."""
