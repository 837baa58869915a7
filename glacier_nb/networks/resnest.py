"""DeepLabv3+ on ResNeSt-101, what Maslov et al. compare GlaViTU 2024 with (arXiv:2401.15113)."""

import functools

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate

from glacier_nb import networks
from glacier_nb.networks.glavitu_peers import Fused

networks.torchvision()  # timm imports it

from timm.models.resnest import ResNestBottleneck  # noqa: E402


def _unit(inner: int, outer: int, kernel: int = 1, dilation: int = 0) -> nn.Sequential:
    """Bias-free convolution of unchanged size, batch norm, ReLU; with a dilation, depthwise 3x3 and then 1x1."""
    layers = [nn.Conv2d(inner, outer, kernel, padding=kernel // 2, bias=False)]
    if dilation:
        layers.insert(0, nn.Conv2d(inner, inner, 3, padding=dilation, dilation=dilation, groups=inner, bias=False))
    return nn.Sequential(*layers, nn.BatchNorm2d(outer), nn.ReLU())


class _Stage(nn.Module):
    """ResNeSt blocks (Zhang et al. 2020, arXiv:2004.08955; timm's) of one width; the last halves the map if asked.

    forward: (batch, inner, y, x) -> the map before the last block and the map after it.
    """

    def __init__(self, inner: int, width: int, count: int, halve: bool):
        super().__init__()
        project = nn.Sequential(nn.Conv2d(inner, 4 * width, 1), nn.BatchNorm2d(4 * width))
        blocks = [ResNestBottleneck(inner, width, downsample=project, radix=2)]
        blocks += [ResNestBottleneck(4 * width, width, radix=2) for _ in range(count - 2)]
        half = nn.AvgPool2d(2) if halve else None
        self.blocks = nn.Sequential(*blocks)
        self.last = ResNestBottleneck(4 * width, width, 2 if halve else 1, half, radix=2, avd=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.blocks(x)
        return x, self.last(x)


class ResNestDeepLab(nn.Module):
    """Fused maps through average pooling, stages of 3, 4, 23 and 3 blocks, an atrous pyramid and one decoder layer.

    Which layers carry biases, and that the map of stage 2 joins without a projection, is what the published count of
    parameters leaves: 50,969,762 behind the fusion of optical bands and terrain.

    forward: (batch, 64, y, x), y and x multiples of `stride` -> (batch, score, y, x).
    """

    stride = 16

    def __init__(self, scores: int, slope: float):
        super().__init__()
        plan = ((64, 64, 3), (256, 128, 4), (512, 256, 23), (1024, 512, 3))
        self.stages = nn.ModuleList(_Stage(*row, halve=number < 3) for number, row in enumerate(plan))
        self.atrous = nn.ModuleList(_unit(2048, 256, dilation=rate) for rate in (6, 12, 18))
        self.point, self.pool = _unit(2048, 256), nn.Conv2d(2048, 256, 1, bias=False)
        self.join, self.decode = _unit(5 * 256, 256), _unit(512 + 256, 256, 3)
        self.output = nn.Conv2d(256, scores, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of fused maps."""
        x, maps = avg_pool2d(x, 3, 2, 1), []
        for stage in self.stages:
            before, x = stage(x)
            maps.append(before)
        mean = self.pool(x.mean((2, 3), keepdim=True)).relu().expand(-1, -1, *x.shape[2:])
        x = self.join(torch.cat((self.point(x), *(branch(x) for branch in self.atrous), mean), dim=1))
        enlarge = functools.partial(interpolate, scale_factor=4, mode="bilinear", align_corners=False)
        return enlarge(self.output(self.decode(torch.cat((enlarge(x), maps[1]), dim=1))))


deeplab_2024 = functools.partial(Fused, network=ResNestDeepLab)
