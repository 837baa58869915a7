"""R2U-Net of Alom et al. 2018 (arXiv:1802.06955), a row of Xie et al. 2021.

Layer order and names as in the public version LeeJunHyun/Image_Segmentation.
"""

from collections.abc import Sequence

import torch
from torch import nn

NAMES, LAYOUT = (), "torch"


class _Recurrent(nn.Module):
    """One convolution f with shared weights, run `steps` more times on its own result plus the input."""

    def __init__(self, width: int, steps: int):
        super().__init__()
        self.steps = steps
        self.conv = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = self.conv(x)
        for _ in range(self.steps):
            state = self.conv(x + state)
        return state


class _Level(nn.Module):
    """A 1x1 convolution to the width of a level, and two recurrent units added to it; no activation after the sum."""

    def __init__(self, inner: int, width: int, steps: int):
        super().__init__()
        self.Conv_1x1 = nn.Conv2d(inner, width, 1)
        self.RCNN = nn.Sequential(_Recurrent(width, steps), _Recurrent(width, steps))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.Conv_1x1(x)
        return x + self.RCNN(x)


class _Up(nn.Module):
    """Nearest doubling, then 3x3 convolution, batch norm, ReLU."""

    def __init__(self, inner: int, width: int):
        super().__init__()
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(inner, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(x)


class R2UNet(nn.Module):
    """A recurrent residual U-Net of len(`widths`) levels.

    channels: of the input. scores: number of zones. widths: channels per level, finest first. steps: how often
    each recurrent convolution is run again (t in the paper). Alom et al. 2018, arXiv:1802.06955; the settings of Xie
    et al. 2021 are not known.

    forward: (batch, channel, y, x), y and x multiples of `stride` -> zones (batch, score, y, x), raw scores.

    >>> tuple(R2UNet(3, widths=(4, 8))(torch.zeros(1, 3, 8, 12))["zones"].shape)
    (1, 1, 8, 12)
    """

    def __init__(
        self, channels: int, scores: int = 1, widths: Sequence[int] = (64, 128, 256, 512, 1024), steps: int = 2
    ):
        super().__init__()
        self.levels = len(widths)
        self.stride = 2 ** (self.levels - 1)
        for level, (inner, width) in enumerate(zip((channels, *widths), widths, strict=False), start=1):
            self.add_module(f"RRCNN{level}", _Level(inner, width, steps))
        for level in range(self.levels, 1, -1):
            deep, width = widths[level - 1], widths[level - 2]
            self.add_module(f"Up{level}", _Up(deep, width))
            self.add_module(f"Up_RRCNN{level}", _Level(2 * width, width, steps))
        self.Conv_1x1 = nn.Conv2d(widths[0], scores, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of a batch."""
        skips = []
        for level in range(1, self.levels + 1):
            x = self.get_submodule(f"RRCNN{level}")(nn.functional.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        skips.pop()
        for level in range(self.levels, 1, -1):
            x = self.get_submodule(f"Up{level}")(x)
            x = self.get_submodule(f"Up_RRCNN{level}")(torch.cat((skips.pop(), x), dim=1))
        return {"zones": self.Conv_1x1(x)}
