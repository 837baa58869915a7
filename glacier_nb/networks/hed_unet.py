"""HED-UNet (Heidler et al. 2022, IEEE TGRS 60, doi:10.1109/TGRS.2021.3064606): mask and edge, merged over scales."""

import torch
from torch import nn
from torch.nn import functional as F

LAYOUT = "torch"
NAMES = ()


class Pair(nn.Module):
    """Two 3x3 convolutions (edge pixels repeated outside, no bias), each with batch norm and ReLU."""

    def __init__(self, inner: int, outer: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, padding=1, padding_mode="replicate", bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, padding=1, padding_mode="replicate", bias=False)
        self.bn2 = nn.BatchNorm2d(outer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, inner, y, x) -> (batch, outer, y, x)."""
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)))


class Down(nn.Module):
    """2x2 convolution with stride 2 that keeps the width, batch norm, ReLU; then a pair that doubles it."""

    def __init__(self, width: int):
        super().__init__()
        self.convdown = nn.Conv2d(width, width, 2, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.conv_block = Pair(width, 2 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, width, y, x) -> (batch, 2 width, y/2, x/2)."""
        return self.conv_block(F.relu(self.bn(self.convdown(x))))


class Up(nn.Module):
    """2x2 transposed convolution that halves the width, batch norm, ReLU; then a pair over [raised, skip]."""

    def __init__(self, width: int):
        super().__init__()
        self.up = nn.ConvTranspose2d(width, width // 2, 2, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(width // 2)
        self.conv_block = Pair(width, width // 2)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """(batch, width, y, x) and (batch, width/2, 2y, 2x) -> (batch, width/2, 2y, 2x)."""
        return self.conv_block(torch.cat([F.relu(self.bn(self.up(x))), skip], dim=1))


class HedUNet(nn.Module):
    """HED-UNet: scores of the ice or land mask and of its edge, combined from all scales.

    Input: `channels` (HH, HV for Antarctic fronts; 3 in the published configuration), 256 x 256 there.
    depth: halvings. base: channels at full resolution.
    forward: (batch, channel, y, x), y and x multiples of 2^depth -> zones (batch, 1, y, x), edge (batch, 1, y, x), raw
    scores, and deep, a list of depth + 1 tensors (batch, 2, y/2^n, x/2^n), finest first, channels (zones, edge).
    Each pixel of each output weighs the levels by a softmax over their queries.
    8,130,568 trainable parameters at 2 channels, 8,130,584 at 3.
    Source: Heidler et al. 2022, doi:10.1109/TGRS.2021.3064606, and the layer list of its released definition.
    """

    def __init__(self, channels: int = 2, depth: int = 5, base: int = 16):
        super().__init__()
        self.stride = 2**depth
        widths = [base * 2**level for level in range(depth + 1)]  # 16, 32, ... 512
        self.init = nn.Conv2d(channels, base, 1)
        self.down_blocks = nn.ModuleList(Down(width) for width in widths[:-1])
        self.up_blocks = nn.ModuleList(Up(width) for width in widths[:0:-1])
        self.predictors = nn.ModuleList(nn.Conv2d(width, 2, 1) for width in widths[::-1])
        self.queries = nn.ModuleList(nn.Conv2d(width, 2, 1) for width in widths[::-1])

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor | list[torch.Tensor]]:
        """Scores of a batch."""
        size = x.shape[-2:]
        x = self.init(x)
        skips = []
        for down in self.down_blocks:
            skips.append(x)
            x = down(x)
        levels = [x]  # coarsest first
        for up in self.up_blocks:
            levels.append(up(levels[-1], skips.pop()))
        scores = [predict(level) for predict, level in zip(self.predictors, levels, strict=True)]
        queries = [query(level) for query, level in zip(self.queries, levels, strict=True)]
        raised, weights = (
            torch.stack([F.interpolate(m, size=size, mode="bilinear", align_corners=True) for m in maps])
            for maps in (scores, queries)
        )  # (level, batch, 2, y, x)
        zones, edge = (weights.softmax(dim=0) * raised).sum(dim=0).split(1, dim=1)
        return {"zones": zones, "edge": edge, "deep": scores[::-1]}
