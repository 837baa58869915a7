"""Attention DeepLabv3+ of Chu et al. 2022 (The Cryosphere 16, 4273, doi:10.5194/tc-16-4273-2022).

Names as in the released code, yiyou101/Attention-DeepLab-V3plus.
"""

import torch
from torch import nn
from torch.nn.functional import interpolate

# The released class also registers layers that no forward pass touches: 1,261,512 parameters of 26,932,140.
NAMES, LAYOUT = ((r"^(conv2d|low_att|shortcut_conv|cat_conv)\.", None),), "torch"


def _unit(inner: int, outer: int, kernel: int = 1, dilation: int = 1) -> nn.Sequential:
    """Biased convolution of unchanged size, batch norm, ReLU."""
    convolution = nn.Conv2d(inner, outer, kernel, padding=kernel // 2 * dilation, dilation=dilation)
    return nn.Sequential(convolution, nn.BatchNorm2d(outer), nn.ReLU())


class _Residual(nn.Module):
    """Basic residual block: two 3x3 convolutions beside the input or its 1x1 projection, ReLU after the sum."""

    def __init__(self, inner: int, outer: int, stride: int, project: bool):
        super().__init__()
        self.left = nn.Sequential(
            nn.Conv2d(inner, outer, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outer),
            nn.ReLU(),
            nn.Conv2d(outer, outer, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outer),
        )
        self.right = nn.Identity()
        if project:
            self.right = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.left(x) + self.right(x)).relu()


class _Backbone(nn.Module):
    """ResNet-34 with a stem of stride 1 and a projection at the head of every stage: features at H/4 and H/16."""

    def __init__(self, channels: int):
        super().__init__()
        self.pre = nn.Sequential(
            nn.Conv2d(channels, 64, 7, 1, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        inner = 64
        for stage, (width, blocks, stride) in enumerate(((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)), start=1):
            first, rest = _Residual(inner, width, stride, True), range(blocks - 1)
            self.add_module(f"layer{stage}", nn.Sequential(first, *(_Residual(width, width, 1, False) for _ in rest)))
            inner = width
        self.shortcut_conv = _unit(128, 32)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        low = self.layer2(self.layer1(self.pre(x)))
        return self.shortcut_conv(low), self.layer4(self.layer3(low))


class _ChannelGate(nn.Module):
    """Channel gate of CBAM (Woo et al. 2018, arXiv:1807.06521), reduction 16."""

    def __init__(self, width: int):
        super().__init__()
        self.shared_MLP = nn.Sequential(
            nn.Conv2d(width, width // 16, 1, bias=False), nn.ReLU(), nn.Conv2d(width // 16, width, 1, bias=False)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, top = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        return x * (self.shared_MLP(mean) + self.shared_MLP(top)).sigmoid()


class _SpatialGate(nn.Module):
    """Spatial gate of CBAM: a 7x7 convolution over mean and maximum of the channels."""

    def __init__(self):
        super().__init__()
        self.conv2d = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.conv2d(torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), dim=1)).sigmoid()


class _Cbam(nn.Module):
    """Channel gate, then spatial gate."""

    def __init__(self, width: int):
        super().__init__()
        self.channel_attention = _ChannelGate(width)
        self.spatial_attention = _SpatialGate()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.spatial_attention(self.channel_attention(x))


class _Aspp(nn.Module):
    """Atrous pyramid: 1x1, rates 6, 12, 18, image mean, and a sixth branch of attention: 1792 channels to 256."""

    def __init__(self, inner: int = 512, width: int = 256):
        super().__init__()
        self.branch1 = _unit(inner, width)
        self.branch2 = _unit(inner, width, 3, 6)
        self.branch3 = _unit(inner, width, 3, 12)
        self.branch4 = _unit(inner, width, 3, 18)
        self.branch5_conv = nn.Conv2d(inner, width, 1)
        self.branch5_bn = nn.BatchNorm2d(width)
        self.branch6 = _Cbam(inner)
        self.conv_cat = _unit(5 * width + inner, width)
        self.drop = nn.Dropout(0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.branch5_bn(self.branch5_conv(x.mean((2, 3), keepdim=True))).relu()
        atrous = (branch(x) for branch in (self.branch1, self.branch2, self.branch3, self.branch4))
        branches = (*atrous, mean.expand(-1, -1, *x.shape[2:]), self.branch6(x))
        return self.drop(self.conv_cat(torch.cat(branches, dim=1)))


class AttentionDeepLab(nn.Module):
    """DeepLabv3+ with a CBAM branch in its pyramid.

    channels: of the input (the paper: blue, green, red, near infrared of Gaofen-6 at 2 m, min-max per patch of 1024).
    scores: number of zones. Chu et al. 2022, doi:10.5194/tc-16-4273-2022. The layers that the released class
    registers and never runs are left out: 25,670,628 parameters at 4 channels, all of them used.

    forward: (batch, channel, y, x), y and x multiples of `stride` -> zones (batch, score, y, x), raw scores. A batch
    of one cannot be trained: the image-mean branch normalises over the batch alone.

    >>> tuple(AttentionDeepLab(4).eval()(torch.zeros(1, 4, 32, 48))["zones"].shape)
    (1, 1, 32, 48)
    """

    stride = 16

    def __init__(self, channels: int, scores: int = 1):
        super().__init__()
        self.backbone = _Backbone(channels)
        self.aspp = _Aspp()
        separable = nn.Sequential(
            nn.Conv2d(288, 288, 3, padding=1, groups=288, bias=False), nn.Conv2d(288, 256, 1, bias=False)
        )
        self.block = nn.Sequential(separable, nn.BatchNorm2d(256), nn.ReLU(), nn.Dropout(0.1))
        self.cls_conv = nn.Conv2d(256, scores, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of a batch."""
        low, deep = self.backbone(x)  # (32, y/4, x/4), (512, y/16, x/16)
        deep = interpolate(self.aspp(deep), low.shape[2:], mode="bilinear", align_corners=True)
        scores = self.cls_conv(self.block(torch.cat((deep, low), dim=1)))
        return {"zones": interpolate(scores, x.shape[2:], mode="bilinear", align_corners=True)}
