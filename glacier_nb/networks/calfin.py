"""CALFIN's two-output network (Cheng et al. 2021, The Cryosphere 15:1663, doi:10.5194/tc-15-1663-2021).

An Xception-65-like encoder with ELU, a pyramid of dilated convolutions and a DeepLabv3+ decoder that scores the calving
front and the ice mask of one glacier at once.
"""

import torch
from torch import nn
from torch.nn import functional as F

LAYOUT = "keras"
NAMES = (
    (r"^(entry|exit)_flow_block(\d)_", r"\1.\2."),
    (r"^middle_flow_unit_(\d)_", r"middle.\1."),
    (r"separable_conv(\d)_", r"units.\1."),
    (r"^aspp([1-5])_", r"rates.\1."),
    (r"^decoder_conv1_(\d)_", r"decoder.\1."),
    (r"(depthwise|pointwise)_BN", r"\1_norm"),
    (r"(shortcut|image_pooling|aspp0|concat_projection|feature_projection1)_BN", r"\1.norm"),
    (r"(shortcut|image_pooling|aspp0|concat_projection|feature_projection1)\.(?!norm)", r"\1.conv."),
    (r"^image_pooling", "pooled"),
    (r"^aspp0", "direct"),
    (r"^concat_projection", "projection"),
    (r"^feature_projection1", "skip"),
    (r"^custom_logits_semantic", "head"),
)


def _resize(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bilinear, the corner pixels' centres kept in place."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


class Separable(nn.Module):
    """3x3 depthwise, batch norm, 1x1 pointwise, batch norm; no biases.

    after=False: an ELU before the depthwise and none later. after=True: an ELU after each batch norm.
    """

    def __init__(self, inner: int, outer: int, stride: int = 1, dilation: int = 1, after: bool = True, eps=1e-5):
        super().__init__()
        # The padding is symmetric at stride 2 too, which TensorFlow's SAME is not.
        self.depthwise = nn.Conv2d(inner, inner, 3, stride, dilation, dilation, groups=inner, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(inner, eps)
        self.pointwise = nn.Conv2d(inner, outer, 1, bias=False)
        self.pointwise_norm = nn.BatchNorm2d(outer, eps)
        self.after = after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, inner, y, x) -> (batch, outer, y / stride, x / stride)."""
        x = self.depthwise_norm(self.depthwise(x if self.after else F.elu(x)))
        x = self.pointwise_norm(self.pointwise(F.elu(x) if self.after else x))
        return F.elu(x) if self.after else x


class Pointwise(nn.Module):
    """1x1 convolution without bias, batch norm and, unless `linear`, an ELU."""

    def __init__(self, inner: int, outer: int, stride: int = 1, linear: bool = False, eps: float = 1e-5):
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, 1, bias=False)
        self.norm = nn.BatchNorm2d(outer, eps)
        self.stride, self.linear = stride, linear

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, inner, y, x) -> (batch, outer, y / stride, x / stride)."""
        # Of every `stride`th pixel, which is the same: a strided 1x1 convolution of few channels, channels last, reads
        # past its input on its way back (torch 2.13 on a CPU), and may take the process with it.
        x = self.norm(self.conv(x[..., :: self.stride, :: self.stride]))
        return x if self.linear else F.elu(x)


class Block(nn.Module):
    """Three separable units, the third with the stride, and a shortcut around them.

    shortcut: "conv" (1x1 and batch norm), "identity" or "none". after: see `Separable`.
    """

    def __init__(
        self,
        inner: int,
        widths: tuple[int, int, int],
        shortcut: str,
        stride: int = 1,
        dilations: tuple[int, int, int] = (1, 1, 1),
        after: bool = False,
    ):
        super().__init__()
        eps = 1e-3  # the encoder's; the rest has 1e-5
        units = zip((inner, *widths), widths, (1, 1, stride), dilations, strict=False)
        self.units = nn.ModuleDict(
            {
                str(n): Separable(before, width, step, rate, after, eps)
                for n, (before, width, step, rate) in enumerate(units, 1)
            }
        )
        if shortcut == "conv":
            self.shortcut = Pointwise(inner, widths[-1], stride, linear=True, eps=eps)
        else:
            self.shortcut = nn.Identity() if shortcut == "identity" else None

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The block's output and what its second unit gave, before the stride."""
        second = self.units["2"](self.units["1"](x))
        out = self.units["3"](second)
        return (out if self.shortcut is None else out + self.shortcut(x)), second


class Calfin(nn.Module):
    """CALFIN: scores of the front's edge and of the ice (or land) mask.

    Input: `channels` (3 in the paper: the contrast stack, scaled to [-1, 1]), 224 x 224 in the paper.
    forward: (batch, channel, y, x), y and x multiples of 32 -> edge (batch, 1, y, x) of the front, zones (batch, 1,
    y, x; ice or land), raw scores; the paper's probabilities are their sigmoids.
    29,316,387 trainable parameters at 3 channels. Running statistics follow with PyTorch's 0.1 a step (Keras: 0.01).
    Source: Cheng et al. 2021, doi:10.5194/tc-15-1663-2021, and the layer list of its released definition.
    """

    stride = 32

    def __init__(self, channels: int = 3, dropout: float = 0.1):
        super().__init__()
        self.entry = nn.ModuleDict(
            {
                "1": Block(channels, (128,) * 3, "conv", 2),
                "2": Block(128, (256,) * 3, "conv", 2),
                "3": Block(256, (728,) * 3, "conv", 2),
            }
        )
        self.middle = nn.ModuleDict({str(n): Block(728, (728,) * 3, "identity") for n in range(1, 9)})
        self.exit = nn.ModuleDict(
            {
                "1": Block(728, (728, 1024, 1024), "conv", 2),
                "2": Block(1024, (1536, 1536, 2048), "none", dilations=(1, 2, 4), after=True),
            }
        )
        self.pooled = Pointwise(2048, 256)
        self.direct = Pointwise(2048, 256)
        self.rates = nn.ModuleDict({str(n): Separable(2048, 256, dilation=n) for n in range(1, 6)})
        self.projection = Pointwise(7 * 256, 256)
        self.dropout = nn.Dropout(dropout)
        self.skip = Pointwise(728, 48)
        self.decoder = nn.ModuleDict({"0": Separable(256 + 48, 256), "1": Separable(256, 256)})
        self.head = nn.Conv2d(256, 2, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of a batch."""
        size = x.shape[-2:]
        for block in self.entry.values():
            x, skip = block(x)  # at the end: x (728, y/8, x/8), skip (728, y/4, x/4)
        for block in (*self.middle.values(), *self.exit.values()):
            x, _ = block(x)
        # x (2048, y/16, x/16)
        pooled = _resize(self.pooled(F.max_pool2d(x, 2)), x.shape[-2:])
        x = torch.cat([pooled, self.direct(x), *(rate(x) for rate in self.rates.values())], dim=1)
        x = self.dropout(self.projection(x))
        x = torch.cat([_resize(x, skip.shape[-2:]), self.skip(skip)], dim=1)
        for unit in self.decoder.values():
            x = unit(x)
        edge, ice = _resize(self.head(x), size).split(1, dim=1)
        return {"edge": edge, "zones": ice}
