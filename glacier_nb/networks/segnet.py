"""SegNet of Badrinarayanan et al. 2017 (doi:10.1109/TPAMI.2016.2644615), the base of GlacierNet (Xie et al. 2020)."""

from collections.abc import Sequence

import torch
from torch import nn


def _unit(inner: int, outer: int) -> nn.Sequential:
    """Biased 3x3 convolution of unchanged size, batch norm, ReLU."""
    return nn.Sequential(nn.Conv2d(inner, outer, 3, padding=1), nn.BatchNorm2d(outer), nn.ReLU(inplace=True))


class SegNet(nn.Module):
    """Encoder that remembers where each maximum was, decoder that puts values back there.

    channels: of the input. scores: number of zones. widths, depths: channels and convolutions per stage, finest first;
    the decoder mirrors them, its last convolution giving the scores. The plain call is the plan of VGG16
    (Badrinarayanan et al. 2017); the changes that Xie et al. 2020 (IEEE Access 8, 83495) made to it are not known.

    forward: (batch, channel, y, x), y and x multiples of `stride` -> zones (batch, score, y, x), raw scores.

    >>> tuple(SegNet(3, widths=(4, 8), depths=(1, 1))(torch.zeros(1, 3, 8, 12))["zones"].shape)
    (1, 1, 8, 12)
    """

    def __init__(
        self,
        channels: int,
        scores: int = 1,
        widths: Sequence[int] = (64, 128, 256, 512, 512),
        depths: Sequence[int] = (2, 2, 3, 3, 3),
    ):
        super().__init__()
        self.stride = 2 ** len(widths)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        inner = channels
        for width, depth in zip(widths, depths, strict=True):
            sizes = (inner, *(width,) * depth)
            self.down.append(nn.Sequential(*map(_unit, sizes[:-1], sizes[1:])))
            inner = width
        finer = (*widths[-2::-1], scores)
        for width, depth, after in zip(widths[::-1], depths[::-1], finer, strict=True):
            sizes = (*(width,) * depth, after)
            units = list(map(_unit, sizes[:-1], sizes[1:]))
            self.up.append(nn.Sequential(*units))
        self.up[-1][-1] = nn.Conv2d(widths[0], scores, 3, padding=1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of a batch."""
        places = []
        for stage in self.down:
            x, where = nn.functional.max_pool2d(stage(x), 2, return_indices=True)
            places.append(where)
        for stage in self.up:
            x = stage(nn.functional.max_unpool2d(x, places.pop(), 2))
        return {"zones": x}
