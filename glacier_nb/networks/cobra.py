"""COBRA (Heidler et al. 2023, IEEE TGRS 61, arXiv:2307.03461): a deep active contour that moves to the calving front.

An Xception-like backbone gives two feature maps; a small one-dimensional network reads them at 64 vertices and moves
the vertices, four times over.
"""

import torch
from torch import nn
from torch.nn import functional as F

from glacier_nb.networks.calfin import Pointwise

LAYOUT = "haiku"
NAMES = (
    (r"^snake_head\.conv1_d\.", "head.0."),
    (r"^snake_head\.conv1_d_(\d)\.", r"head.\1."),
    (r"^xception\.", "backbone."),
    (r"xception_block\.", "blocks.0."),
    (r"xception_block_(\d+)\.", r"blocks.\1."),
    (r"(blocks\.\d+)\.sep_conv_bn\.", r"\1.units.0."),
    (r"(blocks\.\d+)\.sep_conv_bn_(\d)\.", r"\1.units.\2."),
    (r"(blocks\.\d+)\.conv_bn_act\.", r"\1.shortcut."),
    (r"^backbone\.sep_conv_bn\.", "backbone.rates.0."),
    (r"^backbone\.sep_conv_bn_(\d)\.", r"backbone.rates.\1."),
    (r"^backbone\.conv_bn_act\.", "backbone.pooled."),
    (r"^backbone\.conv_bn_act_1\.", "backbone.direct."),
    (r"^backbone\.conv_bn_act_2\.", "backbone.projection."),
    (r"^backbone\.conv_bn_act_3\.", "backbone.skip."),
    (r"conv_bn_act\.conv2_d", "depthwise"),
    (r"conv_bn_act\.batch_norm", "norm"),
    (r"((?:units|rates)\.\d)\.conv2_d", r"\1.pointwise"),
    (r"conv2_d", "conv"),
    (r"batch_norm", "norm"),
)


class Separable(nn.Module):
    """Biased 1x1 to the new width, 3x3 depthwise without bias (stride, dilation), batch norm, ReLU."""

    def __init__(self, inner: int, outer: int, stride: int = 1, dilation: int = 1):
        super().__init__()
        self.pointwise = nn.Conv2d(inner, outer, 1)
        self.depthwise = nn.Conv2d(outer, outer, 3, stride, dilation=dilation, groups=outer, bias=False)
        self.norm = nn.BatchNorm2d(outer)
        # TensorFlow's SAME: at stride 2 an even size grows by one row below and one column to the right only.
        before = 0 if stride == 2 else dilation
        self.padding = (before, dilation, before, dilation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, inner, y, x) -> (batch, outer, y / stride, x / stride)."""
        return F.relu(self.norm(self.depthwise(F.pad(self.pointwise(x), self.padding))))


class Block(nn.Module):
    """Three separable units, the third with the stride, added to the block's input (`identity`) or to a 1x1 of it."""

    def __init__(
        self,
        inner: int,
        widths: tuple[int, int, int],
        stride: int = 1,
        dilations: tuple[int, int, int] = (1, 1, 1),
        identity: bool = False,
    ):
        super().__init__()
        self.units = nn.ModuleList(
            Separable(before, width, step, rate)
            for before, width, step, rate in zip((inner, *widths), widths, (1, 1, stride), dilations, strict=False)
        )
        self.shortcut = nn.Identity() if identity else Pointwise(inner, widths[-1], stride, linear=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The block's output and what its second unit gave, before the stride."""
        second = self.units[1](self.units[0](x))
        return self.units[2](second) + self.shortcut(x), second


class Backbone(nn.Module):
    """COBRA's Xception: forward (batch, channel, y, x) -> (batch, 64, y/4, x/4), (batch, 512, y/16, x/16)."""

    def __init__(self, channels: int):
        super().__init__()
        self.blocks = nn.ModuleList(
            [
                Block(channels, (128,) * 3, 2),
                Block(128, (256,) * 3, 2),
                Block(256, (768,) * 3, 2),
                *(Block(768, (768,) * 3, identity=True) for _ in range(8)),
                Block(768, (728, 1024, 1024), 2),
                Block(1024, (1536, 1536, 2048), dilations=(1, 2, 4)),
            ]
        )
        self.pooled = Pointwise(2048, 256)
        self.direct = Pointwise(2048, 256)
        self.rates = nn.ModuleList(Separable(2048, 256, dilation=rate) for rate in range(1, 6))
        self.projection = Pointwise(7 * 256, 512)
        self.skip = Pointwise(768, 64)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shallow and deep features."""
        for number, block in enumerate(self.blocks):
            x, second = block(x)
            if number == 2:
                skip = self.skip(second)
        pooled = F.interpolate(self.pooled(F.max_pool2d(x, 2)), scale_factor=2.0, mode="bilinear", align_corners=False)
        parts = [pooled, self.direct(x), *(rate(x) for rate in self.rates)]
        return skip, self.projection(torch.cat(parts, dim=1))


def sample(features: torch.Tensor, vertices: torch.Tensor) -> torch.Tensor:
    """Features at vertices: (batch, channel, y, x), (batch, vertex, 2: y, x in [-1, 1]) -> (batch, channel, vertex).

    Bilinear; -1 and 1 are the centres of the outermost pixels, and whatever lies outside counts as zero.

    >>> ramp = torch.arange(4.0).expand(1, 1, 3, 4)
    >>> sample(ramp, torch.tensor([[[0.0, 0.0], [-1.0, 1.0]]])).tolist()
    [[[1.5, 3.0]]]
    """
    grid = vertices.flip(-1).unsqueeze(1)  # grid_sample wants (x, y) over a map of one row
    # Vertices stay in the precision of the input, features may have less under autocast.
    return F.grid_sample(
        features.to(grid.dtype), grid, mode="bilinear", padding_mode="zeros", align_corners=True
    ).squeeze(2)


class Cobra(nn.Module):
    """COBRA: the calving front as a line of `vertices` points.

    Input: `channels` (1 in the paper), 256 x 256 there. iterations: moves, all by one shared head. dropout: share of
    feature channels dropped in training (0.5; the paper samples with 0.2).
    forward: (batch, channel, y, x), y and x multiples of 32 -> vertices (batch, vertex, 2), the last positions, and
    steps, a list of iterations + 1 such tensors from the start (all zero) to the last; size (2,), rows and columns of
    the map. Coordinates are (row, column) in [-1, 1]; the pixel is (v + 1) * (size - 1) / 2. No gradient runs from one
    move into the one before.
    52,770,464 trainable parameters at 1 channel.
    Source: Heidler et al. 2023, arXiv:2307.03461, and the layer list of its released definition.
    """

    stride = 32

    def __init__(self, channels: int = 1, vertices: int = 64, iterations: int = 4, dropout: float = 0.5):
        super().__init__()
        self.vertices, self.iterations = vertices, iterations
        self.backbone = Backbone(channels)
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.ModuleList(
            [
                nn.Conv1d(64 + 512 + 4, 1024, 1),
                *(nn.Conv1d(1024, 1024, 3, padding=rate, dilation=rate) for rate in (1, 3, 9, 9, 3, 1)),
                nn.Conv1d(1024, 2, 1, bias=False),
            ]
        )
        nn.init.zeros_(self.head[-1].weight)  # a fresh network moves nothing

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor | list[torch.Tensor]]:
        """Vertices of a batch."""
        maps = [self.dropout(features) for features in self.backbone(x)]
        steps = [x.new_zeros(len(x), self.vertices, 2)]
        for _ in range(self.iterations):
            steps.append(self._move(maps, steps[-1].detach()))
        return {"vertices": steps[-1], "steps": steps, "size": torch.tensor(x.shape[-2:])}

    def _move(self, maps: list[torch.Tensor], vertices: torch.Tensor) -> torch.Tensor:
        """(batch, vertex, 2) -> the same, one iteration on."""
        gaps = vertices.diff(dim=1).transpose(1, 2)  # (batch, 2, vertex - 1)
        x = torch.cat([*(sample(m, vertices) for m in maps), F.pad(gaps, (0, 1)), F.pad(gaps, (1, 0))], dim=1)
        for layer in self.head[:-1]:
            x = F.relu(layer(x))
        return vertices + self.head[-1](x).transpose(1, 2)
