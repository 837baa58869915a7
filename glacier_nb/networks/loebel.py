"""The deep U-Net for calving fronts of Loebel et al. 2022 (IEEE TGRS 60, doi:10.1109/TGRS.2022.3208454)."""

import torch
from torch import nn
from torch.nn import functional as F

WIDTHS = (32, 64, 128, 256, 512, 1024, 2048)


def _numbered(layer: str, number: int) -> str:
    """Keras's automatic name of the n-th layer of a kind, as a pattern."""
    return rf"^{layer}\." if number == 0 else rf"^{layer}_{number}\."


_LEVELS = len(WIDTHS) - 1
_BLOCKS = 2 * _LEVELS + 1
LAYOUT = "keras"
NAMES = (
    *((_numbered("conv2d", 2 * n), f"blocks.{n}.first.") for n in range(_BLOCKS)),
    *((_numbered("conv2d", 2 * n + 1), f"blocks.{n}.second.") for n in range(_BLOCKS)),
    *((_numbered("batch_normalization", n), f"blocks.{n}.norm.") for n in range(_BLOCKS)),
    *((_numbered("conv2d_transpose", n), f"raises.{n}.") for n in range(_LEVELS)),
    (_numbered("conv2d", 2 * _BLOCKS), "head."),
)


class Block(nn.Module):
    """3x3 convolution, batch norm, ReLU, 3x3 convolution, ReLU: one norm only, as published."""

    def __init__(self, inner: int, outer: int, bias: bool):
        super().__init__()
        self.first = nn.Conv2d(inner, outer, 3, padding=1, bias=bias)
        self.norm = nn.BatchNorm2d(outer, eps=1e-3)
        self.second = nn.Conv2d(outer, outer, 3, padding=1, bias=bias)
        for conv in (self.first, self.second):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            if bias:
                nn.init.zeros_(conv.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, inner, y, x) -> (batch, outer, y, x)."""
        return F.relu(self.second(F.relu(self.norm(self.first(x)))))


class Loebel(nn.Module):
    """U-Net of seven levels (32 to 2048 channels) with one score that parts glacier from water.

    Input: `channels` (9 in the paper: Landsat-8 B1-B7, B10, B11), each stretched to 0-255; the division by 255 happens
    inside. 512 x 512 in the paper.
    forward: (batch, channel, y, x), y and x multiples of 64 -> zones (batch, 1, y, x), raw scores.
    124,426,849 trainable parameters at 9 channels. Running statistics follow with PyTorch's 0.1 a step (Keras: 0.01).
    Source: Loebel et al. 2022, doi:10.1109/TGRS.2022.3208454, and the layer list of its released script.
    """

    stride = 2**_LEVELS

    def __init__(self, channels: int = 9):
        super().__init__()
        down = zip((channels, *WIDTHS), WIDTHS, strict=False)
        up = list(zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True))  # (2048, 1024), ... (64, 32)
        self.blocks = nn.ModuleList(Block(inner, outer, bias=level < 2) for level, (inner, outer) in enumerate(down))
        self.blocks.extend(Block(2 * outer, outer, bias=False) for _, outer in up)
        self.raises = nn.ModuleList(nn.ConvTranspose2d(inner, outer, 2, stride=2) for inner, outer in up)
        self.head = nn.Conv2d(WIDTHS[0], 1, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of a batch."""
        x = x / 255
        skips = []
        for level, block in enumerate(self.blocks[: _LEVELS + 1]):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        for raise_, block in zip(self.raises, self.blocks[_LEVELS + 1 :], strict=True):
            x = block(torch.cat([raise_(x), skips.pop()], dim=1))
        return {"zones": self.head(x)}
