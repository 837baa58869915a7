"""AMD-HookNet++ (Wu et al. 2025, arXiv:2512.14639): a wide Swin-Unet hooked into a sharp convolutional branch.

Names from the released code, RiverNA/AMD-HookNet-plus; the plain parts are AMD-HookNet's.
"""

import torch
from torch import nn
from torch.nn.functional import interpolate, max_pool2d, normalize, scaled_dot_product_attention

from glacier_nb.networks import swin, swin_unet
from glacier_nb.networks.hooknet import WIDTHS, Up, pair

NAMES = (
    *swin_unet.NAMES,
    (r"^swin_unet\.", "context."),
    (r"\.conv_block\.", "."),
    (r"^t_first\.", "down.0."),
    (r"^t_down(\d)\.downsample\.1\.", r"down.\1."),
    (r"^t_up(\d)\.", r"up\1."),
    (r"\.esca\.", ".attention."),
    (r"^t_out\.output\.0\.", "output."),
)
LAYOUT = "torch"


class _Attention(nn.Module):
    """Attention over all positions with per-channel query, key and value, then channels weighed by position.

    size: side of the square map that the table of weights belongs to; it is resampled for other maps. The table starts
    at 0, where all channels weigh the same: how the released one starts was not read.
    """

    def __init__(self, width: int, size: int):
        super().__init__()
        self.size = size
        self.query, self.key, self.value = (nn.Conv2d(width, width, 1, groups=width) for _ in range(3))
        self.gamma = nn.Parameter(torch.zeros(1))
        self.merge = nn.Parameter(torch.zeros(size * size, width))
        self.embed = nn.Conv2d(width, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # One head over y * x positions: (batch, 1, position, width), scores divided by sqrt(width).
        query, key, value = (
            layer(x).flatten(2).transpose(1, 2).unsqueeze(1) for layer in (self.query, self.key, self.value)
        )
        seen = scaled_dot_product_attention(query, key, value).squeeze(1).transpose(1, 2).reshape(x.shape)
        share = self.merge.softmax(1).T.unflatten(1, (self.size, self.size))[None]  # (1, width, y, x)
        if share.shape[2:] != x.shape[2:]:
            share = interpolate(share, x.shape[2:], mode="bilinear", align_corners=False)
        return self.embed((x + self.gamma * seen) * share)


class _Hook(nn.Module):
    """The middle of a context map joined to a target map, attended, and raised; size: side of the target map."""

    def __init__(self, inner: int, hook: int, outer: int, size: int):
        super().__init__()
        width = inner + hook
        self.attention = _Attention(width, size)
        self.up = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.conv = pair(width, outer // 2, outer)
        self.catconv = pair(2 * outer, outer // 2, outer)

    def forward(self, x: torch.Tensor, hook: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """(batch, inner, y, x), (batch, 2y, 2x, hook) and (batch, outer, 2y, 2x) -> (batch, outer, 2y, 2x)."""
        x = self.attention(torch.cat((x, swin.centre(hook).permute(0, 3, 1, 2)), dim=1))
        return self.catconv(torch.cat((self.conv(self.up(x)), skip), dim=1))


class HookNetPlus(nn.Module):
    """AMD-HookNet++: zone scores of a target window that also sees its surroundings.

    channels: of a window; a single one is repeated three times, as released (SAR amplitude, 0-1). scores: zones (not
    available, rock, glacier, ocean). size: side in pixels of the target whose maps decide windows, shifts and the
    tables of channel weights. drop: stochastic depth of the context's deepest block. 49,043,454 parameters.

    forward(window): one window (batch, channel, y, x), y and x multiples of `stride` (448 as released). Its middle half
    is the target; the whole, resized by 1/2 (bicubic), is the context. Gives zones (batch, score, y, x), the target's
    scores in the middle half and the context's, resized bilinearly, around it: a margin of a quarter of the window is
    to be cut off; target and context (batch, score, y/2, x/2); features, a list of (batch, 256, y/16, x/16) and
    (batch, 128, y/8, x/8), of unit length over the channels, for the contrastive loss.
    forward(context, target): both windows as released (224 x 224, multiples of 32); without zones.
    All raw scores. Source: Wu et al. 2025, arXiv:2512.14639, and its released definition.
    """

    stride, margin = 64, 0.25

    def __init__(self, channels: int = 1, scores: int = 4, size: int = 224, drop: float = 0.2):
        super().__init__()
        self.repeat = 3 if channels == 1 else 1
        channels = channels * self.repeat
        self.context = swin_unet.SwinUnet(channels, scores, (2, 2, 6, 2), size=size, bias=True, drop=drop)
        self.down = nn.ModuleList(
            pair(inner, outer, outer) for inner, outer in zip((channels, *WIDTHS), WIDTHS, strict=False)
        )
        self.up1, self.up2 = _Hook(320, 192, 256, size // 16), _Hook(256, 96, 128, size // 8)
        self.up3, self.up4 = Up(128, 64), Up(64, 32)
        self.output = nn.Conv2d(32, scores, 1)

    def forward(
        self, context: torch.Tensor, target: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor | list[torch.Tensor]]:
        """Scores of a batch."""
        if target is None:
            terms = self(*swin.windows(context)[::-1])
            return {"zones": swin.whole(terms["target"], terms["context"]), **terms}
        context, x = (window.repeat(1, self.repeat, 1, 1) for window in (context, target))
        scores, maps = self.context.hooks(context)
        skips = []
        for level, block in enumerate(self.down):
            x = block(max_pool2d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        first = self.up1(x, maps[1], skips.pop())  # hook (batch, y/8, x/8, 192)
        second = self.up2(first, maps[2], skips.pop())  # hook (batch, y/4, x/4, 96)
        x = self.up4(self.up3(second, skips.pop()), skips.pop())
        return {"target": self.output(x), "context": scores, "features": [normalize(first), normalize(second)]}
