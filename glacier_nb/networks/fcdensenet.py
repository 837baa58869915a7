"""Fully convolutional DenseNets of Jégou et al. 2017 (arXiv:1611.09326), the FCDenseNet row of Xie et al. 2021.

Layer order and names as in the public version bfortuner/pytorch_tiramisu.
"""

from collections.abc import Sequence

import torch
from torch import nn

NAMES, LAYOUT = (), "torch"


class _Layer(nn.Module):
    """Batch norm, ReLU, biased convolution, dropout: what dense blocks and transitions down are made of."""

    def __init__(self, inner: int, outer: int, kernel: int, dropout: float):
        super().__init__()
        self.norm = nn.BatchNorm2d(inner)
        self.conv = nn.Conv2d(inner, outer, kernel, padding=kernel // 2)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.conv(self.norm(x).relu()))


class _Dense(nn.Module):
    """Layers that each read everything before them; gives back [input, new features], or the new features alone."""

    def __init__(self, inner: int, growth: int, count: int, dropout: float, keep: bool):
        super().__init__()
        self.keep = keep
        self.width = growth * count + (inner if keep else 0)
        self.layers = nn.ModuleList(_Layer(inner + i * growth, growth, 3, dropout) for i in range(count))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, dim=1)))
        return torch.cat(features if self.keep else features[1:], dim=1)


class _Up(nn.Module):
    """Transposed 3x3 convolution of stride 2 without padding: 2n + 1 pixels, of which the last is cut off."""

    def __init__(self, width: int):
        super().__init__()
        self.convTrans = nn.ConvTranspose2d(width, width, 3, stride=2)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        x = self.convTrans(x)[..., : skip.shape[-2], : skip.shape[-1]]
        return torch.cat((x, skip), dim=1)


class FCDenseNet(nn.Module):
    """An FC-DenseNet; the plain call is FC-DenseNet57.

    channels: of the input. scores: number of zones. growth: features per dense layer. layers: dense layers per
    block on the way down, mirrored on the way up. neck: dense layers at the bottom. 57: growth 12, (4,) * 5, 4;
    67: 16, (5,) * 5, 5; 103: 16, (4, 5, 7, 10, 12), 15. Widths, dropout 0.2: Jégou et al. 2017, arXiv:1611.09326.
    Which of the three Xie et al. 2021 used is not known.

    forward: (batch, channel, y, x), y and x multiples of `stride` -> zones (batch, score, y, x), raw, before the
    softmax.

    >>> network = FCDenseNet(3, scores=2, growth=2, layers=(1, 1), neck=1)
    >>> tuple(network(torch.zeros(1, 3, 8, 12))["zones"].shape)
    (1, 2, 8, 12)
    """

    def __init__(
        self,
        channels: int,
        scores: int = 2,
        growth: int = 12,
        layers: Sequence[int] = (4, 4, 4, 4, 4),
        neck: int = 4,
        dropout: float = 0.2,
    ):
        super().__init__()
        self.stride = 2 ** len(layers)
        width, skips = 48, []
        self.firstconv = nn.Conv2d(channels, width, 3, padding=1)
        self.denseBlocksDown, self.transDownBlocks = nn.ModuleList(), nn.ModuleList()
        for count in layers:
            self.denseBlocksDown.append(_Dense(width, growth, count, dropout, keep=True))
            width = self.denseBlocksDown[-1].width
            self.transDownBlocks.append(_Layer(width, width, 1, dropout))
            skips.append(width)
        # The released names hold the bottom block twice.
        self.bottleneck = nn.ModuleDict({"bottleneck": _Dense(width, growth, neck, dropout, keep=False)})
        width = growth * neck
        self.transUpBlocks, self.denseBlocksUp = nn.ModuleList(), nn.ModuleList()
        for count, skip in zip(layers[::-1], skips[::-1], strict=True):
            last = len(self.denseBlocksUp) == len(layers) - 1
            self.transUpBlocks.append(_Up(width))
            self.denseBlocksUp.append(_Dense(width + skip, growth, count, dropout, keep=last))
            width = self.denseBlocksUp[-1].width
        self.finalConv = nn.Conv2d(width, scores, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of a batch."""
        x, skips = self.firstconv(x), []
        for dense, down in zip(self.denseBlocksDown, self.transDownBlocks, strict=True):
            x = dense(x)
            skips.append(x)
            x = nn.functional.max_pool2d(down(x), 2)
        x = self.bottleneck["bottleneck"](x)
        for up, dense in zip(self.transUpBlocks, self.denseBlocksUp, strict=True):
            x = dense(up(x, skips.pop()))
        return {"zones": self.finalConv(x)}
