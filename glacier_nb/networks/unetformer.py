"""UNetFormer of Wang et al. 2022 (arXiv:2109.08937): parts that Peng et al. 2023 put behind Swin.

Names as in the released code, WangLibo1995/GeoSeg. The encoder is timm's.
"""

import torch
from torch import nn
from torch.nn.functional import interpolate, pad

from glacier_nb import networks

networks.torchvision()  # timm imports it

import timm  # noqa: E402
from timm.layers import Mlp  # noqa: E402
from timm.models.swin_transformer import get_relative_position_index, window_partition, window_reverse  # noqa: E402

# Position indices are made anew from the window size.
NAMES, LAYOUT = ((r"relative_position_index$", None),), "torch"


def _convolution(inner: int, outer: int, kernel: int = 1, norm: bool = False, act: bool = False) -> nn.Sequential:
    """Bias-free convolution of unchanged size, then batch norm and ReLU6 if asked."""
    layers = [nn.Conv2d(inner, outer, kernel, padding=kernel // 2, bias=False)]
    layers += [nn.BatchNorm2d(outer)] if norm else []
    layers += [nn.ReLU6()] if act else []
    return nn.Sequential(*layers)


def _separable(width: int, kernel: int) -> nn.Sequential:
    """Depthwise convolution, batch norm, 1x1 convolution, all without bias; even kernels lose one row and column."""
    depthwise = nn.Conv2d(width, width, kernel, padding=(kernel - 1) // 2, groups=width, bias=False)
    return nn.Sequential(depthwise, nn.BatchNorm2d(width), nn.Conv2d(width, width, 1, bias=False))


def _reflect(x: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Rows added below and columns at the right by reflection, by repetition where the map is too small for that."""
    mode = "reflect" if rows < x.shape[2] and columns < x.shape[3] else "replicate"
    return pad(x, (0, columns, 0, rows), mode) if rows or columns else x


def _resize(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bilinear, between pixel centres."""
    return interpolate(x, size, mode="bilinear", align_corners=False)


class GlobalLocalAttention(nn.Module):
    """Attention in windows of 8, averaged along strips, plus 1x1 and 3x3 convolutions of the same input.

    forward: (batch, width, y, x) -> the same shape. Wang et al. 2022, section 3.2.
    """

    window = (8, 8)

    def __init__(self, width: int, heads: int = 8):
        super().__init__()
        self.heads = heads
        self.qkv = _convolution(width, 3 * width)
        self.local1 = _convolution(width, width, 3, norm=True)
        self.local2 = _convolution(width, width, 1, norm=True)
        self.proj = _separable(width, 8)
        self.relative_position_bias_table = nn.Parameter(torch.empty(15 * 15, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", get_relative_position_index(*self.window), persistent=False)
        self.rows, self.columns = nn.AvgPool2d((8, 1), 1, (3, 0)), nn.AvgPool2d((1, 8), 1, (0, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One map."""
        high, wide = x.shape[2:]
        whole = _reflect(self.qkv(x), -high % 8, -wide % 8).permute(0, 2, 3, 1)
        tokens = window_partition(whole, self.window).flatten(1, 2)  # (window, 64, qkv x head x channel)
        q, k, v = tokens.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None]
        tokens = nn.functional.scaled_dot_product_attention(q, k, v, bias).transpose(1, 2).flatten(2)
        seen = window_reverse(tokens.unflatten(1, self.window), self.window, *whole.shape[1:3])
        seen = seen.permute(0, 3, 1, 2)[:, :, :high, :wide]
        strips = self.rows(_reflect(seen, 1, 0)) + self.columns(_reflect(seen, 0, 1))
        return self.proj(_reflect(strips + self.local1(x) + self.local2(x), 1, 1))


class Block(nn.Module):
    """Batch norm and global-local attention, batch norm and two 1x1 layers with ReLU6, each added to its input.

    forward: (batch, width, y, x) -> the same shape.
    """

    def __init__(self, width: int, heads: int = 8):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.attn = GlobalLocalAttention(width, heads)
        self.mlp = Mlp(width, 4 * width, act_layer=nn.ReLU6, use_conv=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One map."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Fusion(nn.Module):
    """A coarse map doubled and the encoder's map, mixed by two learned weights that sum to one.

    forward: coarse (batch, width, y, x), fine (batch, inner, 2 y, 2 x) -> (batch, width, 2 y, 2 x).
    """

    def __init__(self, inner: int, width: int):
        super().__init__()
        self.pre_conv = _convolution(inner, width)
        self.weights = nn.Parameter(torch.ones(2))
        self.post_conv = _convolution(width, width, 3, norm=True, act=True)

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """Both maps."""
        weights = self.weights.relu()
        first, second = weights / (weights.sum() + 1e-8)
        coarse = _resize(coarse, fine.shape[2:])
        return self.post_conv(first * self.pre_conv(fine) + second * coarse)


class Refinement(Fusion):
    """Feature refinement head: the fusion, then a pixel gate and a channel gate side by side, and a shortcut.

    forward: as `Fusion`. Wang et al. 2022, section 3.3; 51,266 parameters at 64 and 64 channels.
    """

    def __init__(self, inner: int, width: int):
        super().__init__(inner, width)
        self.pa = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, groups=width), nn.Sigmoid())
        squeeze, stretch = _convolution(width, width // 16), _convolution(width // 16, width)
        self.ca = nn.Sequential(nn.AdaptiveAvgPool2d(1), squeeze, nn.ReLU6(), stretch, nn.Sigmoid())
        self.shortcut = _convolution(width, width, norm=True)
        self.proj = _separable(width, 3)

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """Both maps."""
        x = super().forward(coarse, fine)
        gated = self.pa(x) * x + self.ca(x) * x
        return nn.functional.relu6(self.proj(gated) + self.shortcut(x))


class _Auxiliary(nn.Module):
    """3x3 unit, dropout 0.1, 1x1 layer: scores from the summed decoder maps, in training only."""

    def __init__(self, width: int, scores: int):
        super().__init__()
        self.conv = _convolution(width, width, 3, norm=True, act=True)
        self.drop = nn.Dropout(0.1)
        self.conv_out = _convolution(width, scores)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv_out(self.drop(self.conv(x)))


class _Decoder(nn.Module):
    """Four maps at strides 4, 8, 16, 32 to scores at stride 4, and the maps of the three blocks, coarsest first."""

    def __init__(self, widths: list[int], width: int, scores: int):
        super().__init__()
        self.pre_conv = _convolution(widths[3], width, norm=True)
        self.b4, self.b3, self.b2 = Block(width), Block(width), Block(width)
        self.p3, self.p2 = Fusion(widths[2], width), Fusion(widths[1], width)
        self.p1 = Refinement(widths[0], width)
        self.aux_head = _Auxiliary(width, scores)
        self.segmentation_head = nn.Sequential(
            _convolution(width, width, 3, norm=True, act=True), nn.Dropout(0.1), _convolution(width, scores)
        )

    def forward(self, maps: list[torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        coarse = self.b4(self.pre_conv(maps[3]))
        middle = self.b3(self.p3(coarse, maps[2]))
        fine = self.b2(self.p2(middle, maps[1]))
        return self.segmentation_head(self.p1(fine, maps[0])), [coarse, middle, fine]


class UNetFormer(nn.Module):
    """ResNet-18 encoder, decoder of global-local attention blocks, feature refinement head.

    channels: of the input. scores: number of zones. width: of the decoder. encoder: a timm name whose maps have
    strides 4, 8, 16, 32. pretrained: with its weights (a download). Wang et al. 2022,
    arXiv:2109.08937; 11,724,894 parameters at 3 channels and 6 scores.

    forward: (batch, channel, y, x), y and x multiples of `stride` -> zones (batch, score, y, x), raw scores; while
    training also deep, a list of one: the auxiliary head's, of the same shape.

    >>> tuple(UNetFormer(4, 2).eval()(torch.zeros(1, 4, 64, 96))["zones"].shape)
    (1, 2, 64, 96)
    """

    stride = 32

    def __init__(
        self, channels: int, scores: int = 2, width: int = 64, encoder: str = "resnet18", pretrained: bool = False
    ):
        super().__init__()
        self.backbone = timm.create_model(
            encoder, pretrained=pretrained, in_chans=channels, features_only=True, out_indices=(1, 2, 3, 4)
        )
        self.decoder = _Decoder(self.backbone.feature_info.channels(), width, scores)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor | list[torch.Tensor]]:
        """Scores of a batch."""
        scores, maps = self.decoder(self.backbone(x))
        terms = {"zones": _resize(scores, x.shape[2:])}
        if self.training:
            summed = sum(_resize(m, maps[2].shape[2:]) for m in maps)
            terms["deep"] = [_resize(self.decoder.aux_head(summed), x.shape[2:])]
        return terms
