"""AMD-HookNet (Wu et al. 2023, IEEE TGRS 61, doi:10.1109/TGRS.2023.3245419): a wide view hooked into a sharp one.

Two U-Nets see the same centre, one over twice the extent at half the resolution; attention merges what the wide one
decoded into the sharp one at three scales.
"""

import itertools

import torch
from torch import nn
from torch.nn import functional as F

LAYOUT = "torch"
NAMES = (
    (r"^c_", "context."),
    (r"^t_", "target."),
    (r"\.(conv_block|downsample\.1\.conv_block|output\.0)\.", "."),
    (r"\.(query|key|value|gamma)d\b", r".\1"),
    (r"\.Pre\.", ".deep."),
)

WIDTHS = (32, 64, 128, 256, 320)


def pair(inner: int, middle: int, outer: int) -> nn.Sequential:
    """Two 3x3 convolutions with bias, each with batch norm and ReLU."""
    return nn.Sequential(
        *(nn.Conv2d(inner, middle, 3, padding=1), nn.BatchNorm2d(middle), nn.ReLU()),
        *(nn.Conv2d(middle, outer, 3, padding=1), nn.BatchNorm2d(outer), nn.ReLU()),
    )


class Up(nn.Module):
    """2x2 transposed convolution that keeps the width, a bare 3x3 one that changes it, a pair over [raised, skip]."""

    def __init__(self, inner: int, outer: int):
        super().__init__()
        self.up = nn.ConvTranspose2d(inner, inner, 2, stride=2)
        self.conv = nn.Conv2d(inner, outer, 3, padding=1)
        self.catconv = pair(2 * outer, outer // 2, outer)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """(batch, inner, y, x) and (batch, outer, 2y, 2x) -> (batch, outer, 2y, 2x)."""
        return self.catconv(torch.cat([self.conv(self.up(x)), skip], dim=1))


class Hook(nn.Module):
    """The middle of a context feature joined to a target feature, attended over all positions, and raised."""

    def __init__(self, inner: int, outer: int, scores: int):
        super().__init__()
        width = inner + outer  # the context feature has the width that this stage will have
        self.query, self.key, self.value = (nn.Conv2d(width, width, 1) for _ in range(3))
        self.gamma = nn.Parameter(torch.zeros(1))
        self.up = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.conv = pair(width, outer // 2, outer)
        self.catconv = pair(2 * outer, outer // 2, outer)
        self.deep = nn.Conv2d(outer, scores, 1)

    def forward(self, x: torch.Tensor, context: torch.Tensor, skip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(inner, y, x), (outer, 2y, 2x) and (outer, 2y, 2x) -> (outer, 2y, 2x), (scores, 2y, 2x); batch first."""
        x = torch.cat([x, _middle(context, x.shape[-2:])], dim=1)
        # One head over y * x positions: (batch, 1, position, width), scores divided by sqrt(width).
        query, key, value = (
            layer(x).flatten(2).transpose(1, 2).unsqueeze(1) for layer in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(query, key, value).squeeze(1).transpose(1, 2).reshape(x.shape)
        x = self.conv(self.up(x + self.gamma * attended))
        x = self.catconv(torch.cat([x, skip], dim=1))
        return x, self.deep(x)


def _middle(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The middle `size` (y, x) of a map."""
    top, left = ((have - want) // 2 for have, want in zip(x.shape[-2:], size, strict=True))
    return x[..., top : top + size[0], left : left + size[1]]


class Branch(nn.Module):
    """One U-Net; ups: its four up stages, finest last."""

    def __init__(self, channels: int, scores: int, ups: list[nn.Module]):
        super().__init__()
        self.first = pair(channels, WIDTHS[0], WIDTHS[0])
        self.down1, self.down2, self.down3, self.down4 = (
            pair(inner, outer, outer) for inner, outer in itertools.pairwise(WIDTHS)
        )
        self.up1, self.up2, self.up3, self.up4 = ups
        self.out = nn.Conv2d(WIDTHS[0], scores, 1)

    def encode(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Features of the five levels, finest first: (width, y/2^n, x/2^n)."""
        levels = [self.first(x)]
        for down in (self.down1, self.down2, self.down3, self.down4):
            levels.append(down(F.max_pool2d(levels[-1], 2)))
        return levels


class AmdHookNet(nn.Module):
    """AMD-HookNet: zone scores of a target window that also sees its surroundings.

    Input: `channels` (1 in the paper: SAR amplitude, 0-1). `scores`: zones (not available, rock, glacier, ocean).

    forward(window): one window (batch, channel, y, x), y and x multiples of 64 (576 in the paper). Its middle half is
    the target; the whole, resized by 1/2 (bicubic), is the context. Gives zones (batch, scores, y, x), the target's
    scores in the middle half and the context's, resized bilinearly, around it: a margin of a quarter of the window is
    to be cut off; target (batch, scores, y/2, x/2), the middle half alone; context (batch, scores, y/2, x/2), the whole
    window at half the resolution; deep, a list of target scores at (y/16, x/16), (y/8, x/8), (y/4, x/4).
    forward(context, target): both windows as the paper gives them (288 x 288, multiples of 32); without zones.
    All raw scores.
    14,885,847 trainable parameters at 1 channel.
    Source: Wu et al. 2023, doi:10.1109/TGRS.2023.3245419, and the layer list of its released definition.
    """

    stride, margin = 64, 0.25

    def __init__(self, channels: int = 1, scores: int = 4):
        super().__init__()
        steps = list(zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True))  # (320, 256), ... (64, 32)
        self.context = Branch(channels, scores, [Up(inner, outer) for inner, outer in steps])
        hooks = [Hook(inner, outer, scores) for inner, outer in steps[:3]]
        self.target = Branch(channels, scores, [*hooks, Up(*steps[3])])

    def forward(
        self, context: torch.Tensor, target: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor | list[torch.Tensor]]:
        """Scores of a batch."""
        if target is not None:
            return self._hooked(context, target)
        window, half = context, [side // 2 for side in context.shape[-2:]]
        small = F.interpolate(window, size=half, mode="bicubic", align_corners=False)
        terms = self._hooked(small, _middle(window, half))
        zones = F.interpolate(terms["context"], scale_factor=2.0, mode="bilinear", align_corners=False)
        _middle(zones, half).copy_(terms["target"])
        return {"zones": zones, **terms}

    def _hooked(self, context: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor | list[torch.Tensor]]:
        """The published network on its two windows."""
        wide, sharp = self.context, self.target
        *skips, x = wide.encode(context)
        decoded = []  # (256, y/8, x/8), (128, y/4, x/4), (64, y/2, x/2), (32, y, x)
        for up in (wide.up1, wide.up2, wide.up3, wide.up4):
            x = up(x, skips.pop())
            decoded.append(x)
        *skips, x = sharp.encode(target)
        deep = []
        for hook, seen in zip((sharp.up1, sharp.up2, sharp.up3), decoded, strict=False):
            x, scores = hook(x, seen, skips.pop())
            deep.append(scores)
        return {"target": sharp.out(sharp.up4(x, skips.pop())), "context": wide.out(decoded[-1]), "deep": deep}
