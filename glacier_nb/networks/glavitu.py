"""GlaViTU of Maslov et al.: a vision transformer, then a residual U-Net, on fused sensors.

2023: "GlaViTU: a hybrid CNN-transformer for multi-regional glacier mapping from multi-source data", IGARSS 2023, pages
1233-1236. 2024: arXiv:2401.15113, Nature Communications 16:43 (2025).
"""

import functools
import re
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn.functional import gelu, interpolate, max_pool2d, scaled_dot_product_attention

LAYOUT = "keras"


def _names() -> Iterator[tuple[str, str]]:
    """(reference, ours) of every layer, in the order of making: Keras counts each kind of layer from there."""

    def kth(kind: str, number: int) -> str:
        return f"{kind}_{number}" if number else kind

    def double(path: str, number: int, conv: int, norm: int, ours: str) -> Iterator[tuple[str, str]]:
        path = f"{path}.{kth('conv_batch_norm_act_x2', number)}"
        for i in (0, 1):
            yield f"{path}.{kth('conv2d', conv + i)}", f"{ours}.{3 * i}"
            yield f"{path}.{kth('batch_normalization', norm + i)}", f"{ours}.{3 * i + 1}"

    for branch in range(6):
        yield from double("fusion_block", branch, 2 * branch, 2 * branch, f"fusion.branches.{branch}")
        for i in (0, 1):
            yield f"fusion_block.{kth('dense', 2 * branch + i)}", f"fusion.squeezes.{branch}.{2 * i}"
    yield "SETR.ViTEncoder.patch_embedding.dense", "transformer.embed"
    yield "SETR.ViTEncoder.add_positional_embedding.positional_embedding", "transformer.positions"
    for block in range(12):
        path, ours = f"SETR.ViTEncoder.{kth('transformer_block', block)}", f"transformer.blocks.{block}"
        yield f"{path}.{kth('multi_head_attention', block)}.attention_output", f"{ours}.out"
        yield f"{path}.{kth('multi_head_attention', block)}", ours
        for i in (0, 1):
            yield f"{path}.{kth('layer_normalization', 2 * block + i)}", f"{ours}.norm{i + 1}"
            yield f"{path}.dense_{2 * block + i + 1}", f"{ours}.dense{i + 1}"
    for i in range(5):
        yield f"SETR.SETRPUPDecoder.{kth('conv2d', i)}", f"decoder.convs.{i}"
        yield f"SETR.SETRPUPDecoder.{kth('batch_normalization', i)}", f"decoder.norms.{i}"
    conv, norm = 5, 4
    for unit in range(7):  # four down, three up
        side, ours = ("Encoder", f"unet.down.{unit}") if unit < 4 else ("Decoder", f"unet.up.{unit - 4}")
        if side == "Decoder":
            path = f"ResUNet.ResUNetDecoder.{kth('up_conv', unit - 4)}"
            yield f"{path}.conv2d_{conv}", f"unet.lifts.{unit - 4}.2"
            yield f"{path}.batch_normalization_{norm}", f"unet.lifts.{unit - 4}.3"
            conv, norm = conv + 1, norm + 1
        path = f"ResUNet.ResUNet{side}.{kth('residual_with_projection', unit)}"
        yield f"{path}.dense_{25 + unit}", f"{ours}.project"
        yield from double(path, unit, conv, norm, f"{ours}.body")
        conv, norm = conv + 2, norm + 2
    yield "ResUNet.ResUNetDecoder.output", "unet.output"  # 2023
    yield "ResUNet.ResUNetDecoder.dense_32", "unet.output"  # 2024
    yield from (("deepsupervision", "deep"), ("output", "zones"))


NAMES = tuple((rf"^{re.escape(reference)}(?=\.|$)", ours) for reference, ours in _names())

_norm = functools.partial(nn.BatchNorm2d, eps=1e-3)  # Keras's epsilon


class _Dense(nn.Linear):
    """A linear layer over the channels of (batch, channel, y, x)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def _double(inner: int, width: int, slope: float) -> nn.Sequential:
    """Two units of biased 3x3 convolution, batch norm, leaky ReLU."""
    layers = []
    for narrow in (inner, width):
        layers += [nn.Conv2d(narrow, width, 3, padding=1), _norm(width), nn.LeakyReLU(slope)]
    return nn.Sequential(*layers)


class _Fusion(nn.Module):
    """Each sensor through its own double convolution and, if asked, squeeze and excitation; then the sum."""

    def __init__(self, parts: Sequence[int], width: int, slope: float, squeeze: bool):
        super().__init__()
        self.branches = nn.ModuleList(_double(part, width, slope) for part in parts)
        self.squeezes = nn.ModuleList()
        for _ in parts if squeeze else ():
            first, second = nn.Linear(width, width), nn.Linear(width, width)
            self.squeezes.append(nn.Sequential(first, nn.LeakyReLU(slope), second, nn.Sigmoid()))
        self.drop = nn.Dropout2d(0.1)

    def forward(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        maps = [self.drop(branch(part)) for branch, part in zip(self.branches, parts, strict=True)]
        if self.squeezes:
            maps = [x * gate(x.mean((2, 3)))[..., None, None] for x, gate in zip(maps, self.squeezes, strict=True)]
        return sum(maps)


class _Block(nn.Module):
    """Pre-norm transformer block: four heads of 16; GELU after both dense layers, not only the first."""

    def __init__(self, width: int, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-3), nn.LayerNorm(width, 1e-3)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.dense1, self.dense2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        q, k, v = (f(y).unflatten(2, (self.heads, -1)).transpose(1, 2) for f in (self.query, self.key, self.value))
        x = x + self.drop(self.out(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)))
        return x + self.drop(gelu(self.dense2(self.drop(gelu(self.dense1(self.norm2(x)))))))


class _Transformer(nn.Module):
    """Patches of 16 x 16 pixels as tokens with learned positions, twelve blocks, back to a map at stride 16."""

    def __init__(self, width: int, size: int):
        super().__init__()
        self.side = size // 16
        self.embed = nn.Linear(16 * 16 * width, width)
        self.positions = nn.Parameter(torch.randn(self.side**2, width) * 0.02)
        self.blocks = nn.Sequential(*(_Block(width) for _ in range(12)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.unflatten(3, (-1, 16)).unflatten(2, (-1, 16))  # (batch, channel, y, row, x, column)
        high, wide = x.shape[2], x.shape[4]
        x = self.embed(x.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2))  # patches as (row, column, channel)
        positions = self.positions
        if (high, wide) != (self.side, self.side):
            grid = positions.T.unflatten(1, (self.side, self.side))[None]
            positions = interpolate(grid, (high, wide), mode="bilinear", align_corners=False)[0].flatten(1).T
        return self.blocks(x + positions).transpose(1, 2).unflatten(2, (high, wide))


class _Decoder(nn.Module):
    """Four times convolution, batch norm, bilinear doubling; a 1x1 layer before the last. No activation anywhere."""

    def __init__(self, width: int):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 1 if i == 4 else 3, padding="same") for i in range(5))
        self.norms = nn.ModuleList(_norm(width) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i, norm in enumerate(self.norms):
            x = norm(self.convs[i](x))
            x = interpolate(self.convs[4](x) if i == 3 else x, scale_factor=2, mode="bilinear", align_corners=False)
        return x


class _Residual(nn.Module):
    """Double convolution plus a bias-free projection of the input; no activation after the sum."""

    def __init__(self, inner: int, width: int, slope: float):
        super().__init__()
        self.body = _double(inner, width, slope)
        self.project = _Dense(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + self.project(x)


class _UNet(nn.Module):
    """Residual U-Net; upsampling is nearest doubling and a 2x2 convolution padded below and right, batch norm."""

    def __init__(self, inner: int, widths: Sequence[int], slope: float):
        super().__init__()
        self.down = nn.ModuleList(_Residual(i, w, slope) for i, w in zip((inner, *widths), widths, strict=False))
        self.lifts, self.up = nn.ModuleList(), nn.ModuleList()
        for deep, width in zip(widths[:0:-1], widths[-2::-1], strict=True):
            conv = nn.Conv2d(deep, width, 2, bias=False)
            lift = (nn.Upsample(scale_factor=2), nn.ZeroPad2d((0, 1, 0, 1)), conv, _norm(width))
            self.lifts.append(nn.Sequential(*lift))
            self.up.append(_Residual(2 * width, width, slope))
        self.output = _Dense(widths[0], inner)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for unit in self.down:
            x = unit(max_pool2d(x, 2) if skips else x)
            skips.append(x)
        skips.pop()
        for lift, unit in zip(self.lifts, self.up, strict=True):
            x = unit(torch.cat((lift(x), skips.pop()), dim=1))
        return self.output(x)


class GlaViTU(nn.Module):
    """Glacier-VisionTransformer-U-Net.

    channels: of the input, sensors one after another. parts: channels of each sensor, in order: optical (blue to SWIR
    2), elevation and slope, then any SAR, coherence, thermal. scores: 2 (background, glacier). slope: of the leaky
    ReLUs. squeeze: squeeze and excitation behind each sensor (2024). location: how many of the last channels hold a
    code of the place, the same over the whole patch (2024: 12 regions, or latitude/90 and longitude/180, or their four
    sines and cosines). size: side of the patch in pixels that the position table belongs to; it is resampled for
    others.

    forward: (batch, channel, y, x), y and x multiples of `stride`, joined or each sensor apart -> zones (batch, score,
    y, x); deep, a list of one of the same shape, what the transformer alone would say. Raw scores; the published
    outputs are their softmax. Where the published code drops out is not fully known: 0.1 here in fusion and blocks.

    >>> found = GlaViTU(8, size=32).eval()(torch.zeros(1, 8, 32, 48))
    >>> tuple(found["zones"].shape), len(found["deep"])
    ((1, 2, 32, 48), 1)
    """

    stride = 16

    def __init__(
        self,
        channels: int,
        parts: Sequence[int] = (6, 2),
        scores: int = 2,
        slope: float = 0.2,
        squeeze: bool = True,
        location: int = 0,
        size: int = 384,
    ):
        super().__init__()
        if sum(parts) + location != channels:
            raise ValueError(f"channels={channels} but parts {tuple(parts)} + location {location}: make them add up")
        self.parts, width = (*parts, location), 64
        self.fusion = _Fusion(parts, width, slope, squeeze)
        layers = []
        for inner in (location, width) if location else ():
            layers += [nn.Linear(inner, width), nn.BatchNorm1d(width, 1e-3), nn.LeakyReLU(slope), nn.Dropout(0.1)]
        self.location = nn.Sequential(*layers)
        self.transformer = _Transformer(width, size)
        self.decoder = _Decoder(width)
        self.unet = _UNet(width, (64, 128, 256, 512), slope)
        self.deep, self.zones = _Dense(width, scores), _Dense(width, scores)

    def forward(self, *sensors: torch.Tensor) -> dict[str, torch.Tensor | list[torch.Tensor]]:
        """Scores of a batch."""
        *parts, place = torch.cat(sensors, dim=1).split(self.parts, dim=1)
        fused = self.fusion(parts)
        if self.location:
            fused = fused + self.location(place.mean((2, 3)))[..., None, None]
        encoded = self.decoder(self.transformer(fused)) + fused
        return {"zones": self.zones(self.unet(encoded) + encoded), "deep": [self.deep(encoded)]}


glavitu_2023 = functools.partial(GlaViTU, parts=(6, 2, 2), slope=0.3, squeeze=False)
glavitu_2024 = functools.partial(GlaViTU, parts=(6, 2), slope=0.2, squeeze=True)
