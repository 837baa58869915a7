"""What Maslov et al. 2025 compare GlaViTU with, on the same fusion of sensors: ResU-Net, SETR, a small TransUNet.

Names of the papers in `glavitu`; layers as in their released code, read through its parameter counts.
"""

import functools
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import gelu, interpolate, max_pool2d, scaled_dot_product_attention

from glacier_nb.networks.glavitu import _Dense, _Fusion, _norm, _UNet


class Fused(nn.Module):
    """The fusion of `glavitu`, then any network on its 64 channels.

    channels: of the input, sensors one after another. network: builds what follows from the number of scores. parts:
    channels of each sensor. scores, slope, squeeze: as in `glavitu.GlaViTU`.

    forward: (batch, channel, y, x), y and x multiples of `stride` -> zones (batch, score, y, x), raw scores.
    """

    def __init__(
        self,
        channels: int,
        network: type[nn.Module],
        parts: Sequence[int] = (6, 2),
        scores: int = 2,
        slope: float = 0.2,
        squeeze: bool = True,
    ):
        super().__init__()
        if sum(parts) != channels:
            raise ValueError(f"channels={channels} but parts {tuple(parts)}: make them add up")
        self.parts = tuple(parts)
        self.fusion = _Fusion(parts, 64, slope, squeeze)
        self.network = network(scores, slope)
        self.stride = self.network.stride

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of a batch."""
        return {"zones": self.network(self.fusion(x.split(self.parts, dim=1)))}


class ResUNet(nn.Module):
    """The residual U-Net of GlaViTU one level deeper: 64, 128, 256, 512 and a bridge of 1024."""

    stride = 16

    def __init__(self, scores: int, slope: float):
        super().__init__()
        self.unet = _UNet(64, (64, 128, 256, 512, 1024), slope)
        self.unet.output = _Dense(64, scores)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of fused maps."""
        return self.unet(x)


class _Block(nn.Module):
    """Pre-norm transformer block; one GELU, between its dense layers."""

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-3), nn.LayerNorm(width, 1e-3)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.dense1, self.dense2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(self.norm1(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.drop(self.out(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)))
        return x + self.drop(self.dense2(self.drop(gelu(self.dense1(self.norm2(x))))))


class _Tokens(nn.Module):
    """Patches of a map as tokens with learned positions (a table of 24 x 24, resampled for others), twelve blocks."""

    def __init__(self, inner: int, width: int, patch: int, heads: int, hidden: int):
        super().__init__()
        self.embed = nn.Conv2d(inner, width, patch, stride=patch)
        self.positions = nn.Parameter(torch.randn(width, 24, 24) * 0.02)
        self.blocks = nn.Sequential(*(_Block(width, heads, hidden) for _ in range(12)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        high, wide = x.shape[2:]
        positions = self.positions
        if positions.shape[1:] != (high, wide):
            positions = interpolate(positions[None], (high, wide), mode="bilinear", align_corners=False)[0]
        return self.blocks((x + positions).flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, (high, wide))


class Setr(nn.Module):
    """SETR-PUP with ViT-B/16 (Zheng et al. 2021, arXiv:2012.15840): 768 wide, then 256 through four doublings."""

    stride = 16

    def __init__(self, scores: int, slope: float):
        super().__init__()
        self.tokens = _Tokens(64, 768, 16, 12, 3072)
        self.convs = nn.ModuleList(nn.Conv2d(width, 256, 3, padding=1) for width in (768, 256, 256, 256))
        self.norms = nn.ModuleList(_norm(256) for _ in self.convs)
        self.output = nn.Conv2d(256, scores, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of fused maps."""
        x = self.tokens(x)
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(x))
            x = self.output(x) if number == 3 else x
            x = interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return x


class TransUNet(nn.Module):
    """GlaViTU's residual U-Net (64, 128, 256, bridge 512) with a transformer of width 64 on its deepest map.

    Chen et al. 2021, arXiv:2102.04306, made small: patches of one pixel of the map at stride 8.
    """

    stride = 8

    def __init__(self, scores: int, slope: float):
        super().__init__()
        self.unet = _UNet(64, (64, 128, 256, 512), slope)
        self.tokens = _Tokens(512, 64, 1, 4, 256)
        self.widen = _Dense(64, 512)
        self.output = _Dense(64, scores)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of fused maps."""
        skips = []
        for unit in self.unet.down:
            x = unit(max_pool2d(x, 2) if skips else x)
            skips.append(x)
        x = self.widen(self.tokens(skips.pop()))
        for lift, unit in zip(self.unet.lifts, self.unet.up, strict=True):
            x = unit(torch.cat((lift(x), skips.pop()), dim=1))
        return self.output(self.unet.output(x))


resunet_2023 = functools.partial(Fused, network=ResUNet, parts=(6, 2, 2), slope=0.3, squeeze=False)
setr_2023 = functools.partial(Fused, network=Setr, parts=(6, 2, 2), slope=0.3, squeeze=False)
transunet_2023 = functools.partial(Fused, network=TransUNet, parts=(6, 2, 2), slope=0.3, squeeze=False)
resunet_2024 = functools.partial(Fused, network=ResUNet)
