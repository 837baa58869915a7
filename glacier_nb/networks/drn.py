"""DeepLabv3+ on DRN-D-54 for calving fronts: FrontDL3 and AutoTerm, one network with different dilations and dropout.

FrontDL3: Zhang et al. 2021, The Cryosphere 15:1827, doi:10.5194/tc-15-1827-2021.
AutoTerm: Zhang et al. 2023, The Cryosphere 17:3485, doi:10.5194/tc-17-3485-2023.
DRN: Yu et al. 2017, arXiv:1705.09914. DeepLabv3+: Chen et al. 2018, arXiv:1802.02611.
"""

import functools

import torch
from torch import nn
from torch.nn import functional as F

LAYOUT = "torch"
NAMES = ()


def _conv(inner: int, outer: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Convolution without bias whose padding keeps the size at stride 1."""
    return nn.Conv2d(inner, outer, kernel, stride, dilation * (kernel // 2), dilation, bias=False)


def _resize(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bilinear, the corner pixels' centres kept in place."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 (stride, dilation) and 1x1 to four times the inner width, added to a shortcut (He et al. 2016)."""

    def __init__(self, inner: int, width: int, stride: int = 1, dilation: int = 1):
        super().__init__()
        outer = 4 * width
        self.conv1, self.bn1 = _conv(inner, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3, stride, dilation), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = _conv(width, outer, 1), nn.BatchNorm2d(outer)
        same = stride == 1 and inner == outer
        self.downsample = (
            nn.Identity() if same else nn.Sequential(_conv(inner, outer, 1, stride), nn.BatchNorm2d(outer))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, inner, y, x) -> (batch, 4 width, y / stride, x / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.downsample(x))


class Drn(nn.Module):
    """DRN-D-54: a residual network that dilates instead of halving a fourth time.

    dropout: of whole channels after the plain convolution layers, 0 for none.
    forward: (batch, channel, y, x) -> (batch, 512, y/8, x/8), (batch, 256, y/4, x/4).
    """

    def __init__(self, channels: int, dropout: float = 0.0):
        super().__init__()

        def plain(inner: int, outer: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
            conv = _conv(inner, outer, kernel, stride, dilation)
            return nn.Sequential(conv, nn.BatchNorm2d(outer), nn.ReLU(), nn.Dropout2d(dropout))

        def stage(inner: int, width: int, blocks: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
            first = Bottleneck(inner, width, stride, dilation)
            return nn.Sequential(first, *(Bottleneck(4 * width, width, 1, dilation) for _ in range(blocks - 1)))

        self.layer0 = plain(channels, 16, kernel=7)
        self.layer1 = plain(16, 16)
        self.layer2 = plain(16, 32, stride=2)
        self.layer3 = stage(32, 64, 3, stride=2)
        self.layer4 = stage(256, 128, 4, stride=2)
        self.layer5 = stage(512, 256, 6, dilation=2)
        self.layer6 = stage(1024, 512, 3, dilation=4)
        self.layer7 = plain(2048, 512, dilation=2)
        self.layer8 = plain(512, 512)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Deep and shallow features."""
        shallow = self.layer3(self.layer2(self.layer1(self.layer0(x))))
        deep = self.layer6(self.layer5(self.layer4(shallow)))
        return self.layer8(self.layer7(deep)), shallow


class Branch(nn.Module):
    """One dilated convolution of the pyramid (1x1 where the rate is 1), batch norm, ReLU."""

    def __init__(self, inner: int, outer: int, rate: int):
        super().__init__()
        self.atrous_conv = _conv(inner, outer, 1 if rate == 1 else 3, dilation=rate)
        self.bn = nn.BatchNorm2d(outer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, inner, y, x) -> (batch, outer, y, x)."""
        return F.relu(self.bn(self.atrous_conv(x)))


class Pyramid(nn.Module):
    """Four dilated branches and the mean of the whole patch, side by side, projected to 256 channels."""

    def __init__(self, inner: int, rates: tuple[int, int, int, int], dropout: nn.Module):
        super().__init__()
        self.aspp1, self.aspp2, self.aspp3, self.aspp4 = (Branch(inner, 256, rate) for rate in rates)
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), _conv(inner, 256, 1), nn.BatchNorm2d(256), nn.ReLU()
        )
        self.conv1, self.bn1 = _conv(5 * 256, 256, 1), nn.BatchNorm2d(256)
        self.dropout = dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, inner, y, x) -> (batch, 256, y, x)."""
        parts = [branch(x) for branch in (self.aspp1, self.aspp2, self.aspp3, self.aspp4)]
        # One value a channel: expanding it is what a bilinear resize would give.
        parts.append(self.global_avg_pool(x).expand(-1, -1, *x.shape[-2:]))
        return self.dropout(F.relu(self.bn1(self.conv1(torch.cat(parts, dim=1)))))


class Decoder(nn.Module):
    """Deep features raised to the shallow ones, joined as [deep, shallow], and scored."""

    def __init__(self, dropouts: tuple[nn.Module, nn.Module]):
        super().__init__()
        self.conv1, self.bn1 = _conv(256, 48, 1), nn.BatchNorm2d(48)
        self.last_conv = nn.Sequential(
            *(_conv(256 + 48, 256, 3), nn.BatchNorm2d(256), nn.ReLU(), dropouts[0]),
            *(_conv(256, 256, 3), nn.BatchNorm2d(256), nn.ReLU(), dropouts[1]),
            nn.Conv2d(256, 1, 1),
        )

    def forward(self, deep: torch.Tensor, shallow: torch.Tensor) -> torch.Tensor:
        """(batch, 256, y/8, x/8) and (batch, 256, y/4, x/4) -> (batch, 1, y/4, x/4)."""
        shallow = F.relu(self.bn1(self.conv1(shallow)))
        return self.last_conv(torch.cat([_resize(deep, shallow.shape[-2:]), shallow], dim=1))


class DeepLab(nn.Module):
    """DeepLabv3+ on DRN-D-54 with one score that parts glacier from ocean.

    Input: `channels` (1 in both papers: histogram-normalised, each patch 0-1); 240 x 320 is the training step.
    rates: dilations of the pyramid. dropout: None for FrontDL3's (0.5 in pyramid and decoder, 0.1 before the last
    layer), or one rate at which whole channels are dropped everywhere (AutoTerm).
    forward: (batch, channel, y, x), y and x multiples of 8 -> zones (batch, 1, y, x), raw scores. The papers take the
    sigmoid at a quarter of the resolution and resize the probability; the scores are the logits of that probability
    (cut at 1e-7 from 0 and 1), so their sigmoid is the papers' output.
    40,730,353 trainable parameters at 1 channel. Training needs two patches or more a batch.
    """

    stride = 8

    def __init__(
        self, channels: int = 1, rates: tuple[int, int, int, int] = (1, 12, 24, 36), dropout: float | None = None
    ):
        super().__init__()
        if dropout is None:
            drops = [nn.Dropout(0.5), nn.Dropout(0.5), nn.Dropout(0.1)]
        else:
            drops = [nn.Dropout2d(dropout) for _ in range(3)]
        self.backbone = Drn(channels, dropout or 0.0)
        self.aspp = Pyramid(512, rates, drops[0])
        self.decoder = Decoder((drops[1], drops[2]))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of a batch."""
        deep, shallow = self.backbone(x)
        probability = torch.sigmoid(self.decoder(self.aspp(deep), shallow).float())
        return {"zones": torch.logit(_resize(probability, x.shape[-2:]), eps=1e-7)}


zhang2021 = functools.partial(DeepLab, rates=(1, 12, 24, 36))
"""FrontDL3 (doi:10.5194/tc-15-1827-2021)."""

autoterm = functools.partial(DeepLab, rates=(1, 6, 12, 18), dropout=0.1)
"""AutoTerm (doi:10.5194/tc-17-3485-2023); `keep_dropping` gives its repeated passes."""


def keep_dropping(network: nn.Module) -> nn.Module:
    """`network` in evaluation mode but for its dropout layers, in place: each pass is one Monte-Carlo sample.

    Batch norm uses its running statistics. Source: AutoTerm's inference, doi:10.5194/tc-17-3485-2023 (after Gal and
    Ghahramani 2016, arXiv:1506.02142).

    >>> layers = keep_dropping(nn.Sequential(nn.BatchNorm2d(1), nn.Dropout2d(0.1)))
    >>> [layer.training for layer in layers]
    [False, True]
    """
    network.eval()
    for layer in network.modules():
        if isinstance(layer, nn.Dropout | nn.Dropout2d):
            layer.train()
    return network
