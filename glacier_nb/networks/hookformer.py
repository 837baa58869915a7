"""HookFormer (Wu et al. 2024, IEEE TGRS 62, doi:10.1109/TGRS.2024.3368215): a wide Swin-Unet hooked into a sharp one.

Names as in the released code, RiverNA/HookFormer, its prefixes c_ and t_ turned into parts.
"""

import torch
from torch import nn

from glacier_nb.networks import swin, swin_unet

NAMES = (
    *swin_unet.NAMES,
    (r"^c_", "context."),
    (r"^t_", "target."),
    (r"^Pre\.", "deep."),
    (r"^cross_interaction\.(CASTs\.)?", "cross."),
)
LAYOUT = "torch"


class _Cross(nn.Module):
    """Cross-attention blocks, the same ones in both directions, between a target map and a hook."""

    def __init__(self, inner: int, width: int, heads: int = 12, depth: int = 8, window: int = 7):
        super().__init__()
        self.adjust = nn.Linear(inner, width)
        self.blocks = nn.ModuleList(
            swin.CrossBlock(width, heads, window, window // 2 * (number % 2)) for number in range(depth)
        )

    def forward(self, target: torch.Tensor, hook: torch.Tensor) -> torch.Tensor:
        """(batch, y, x, inner) and (batch, y, x, width) -> (batch, y, x, 4 width)."""
        target = self.adjust(target)
        asked, asking = hook, target
        for block in self.blocks:
            asked, asking = block(asked, target), block(asking, hook)
        return torch.cat((asking, target, asked, hook), dim=3)


class _Target(nn.Module):
    """Three stages down with windows of 14 tokens, and three elements up from the hooked map."""

    def __init__(self, channels: int, scores: int, width: int, size: int, drop: float):
        super().__init__()
        widths, sizes = (width, 2 * width, 4 * width), (size // 4, size // 8, size // 16)
        rates = swin.rates((2, 2, 6), drop)
        plan = list(zip(widths, (3, 6, 12), sizes, (14, 14, 14), rates, strict=True))
        self.patch_embed = swin.embed(channels, width)
        self.layers = nn.ModuleList(swin.Stage(*plan[i], then="downsample" if i < 2 else None) for i in range(3))
        self.norm = nn.LayerNorm(4 * width)
        self.layers_up = nn.ModuleList(
            (swin.Expand(8 * width, 2 * width), swin.Stage(*plan[1], then="upsample"), swin.Stage(*plan[0]))
        )
        # Listed finest first, used coarsest first.
        self.concat_back_dim = nn.ModuleList((nn.Linear(2 * width, width), nn.Linear(4 * width, 2 * width)))
        self.norm_up = nn.LayerNorm(width)
        self.up = swin.Expand(width, width, 4)
        self.output = nn.Conv2d(width, scores, 1, bias=False)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(batch, channel, y, x) -> the map (batch, y/16, x/16, 4 width), and the stages' inputs, finest first."""
        x, skips = self.patch_embed(x), []
        for stage in self.layers:
            skips.append(x)
            x = stage(x)
        return self.norm(x), skips

    def decode(self, x: torch.Tensor, skips: list[torch.Tensor]) -> torch.Tensor:
        """(batch, y/16, x/16, 8 width) -> (batch, score, y, x)."""
        x = self.layers_up[0](x)
        for number in (1, 0):
            x = swin.concatenate(x, skips[number], self.concat_back_dim[number])
            x = self.layers_up[2 - number](x)
        return self.output(self.up(self.norm_up(x)).permute(0, 3, 1, 2))


class HookFormer(nn.Module):
    """HookFormer: zone scores of a target window that also sees its surroundings.

    channels: of a window; a single one is repeated three times, as in the paper (SAR amplitude, 0-1). scores: zones
    (not available, rock, glacier, ocean). size: side in pixels of the target whose maps decide windows and shifts.
    drop: stochastic depth of the deepest block. 59,264,692 parameters.

    forward(window): one window (batch, channel, y, x), y and x multiples of `stride` (448 in the paper). Its middle
    half is the target; the whole, resized by 1/2 (bicubic), is the context. Gives zones (batch, score, y, x), the
    target's scores in the middle half and the context's, resized bilinearly, around it: a margin of a quarter of the
    window is to be cut off; target and context (batch, score, y/2, x/2); deep, a list of one, target scores at
    (y/32, x/32).
    forward(target, context): both windows as the paper gives them (224 x 224, multiples of 32); without zones.
    All raw scores. Source: Wu et al. 2024, doi:10.1109/TGRS.2024.3368215, and its released definition.
    """

    stride, margin = 64, 0.25

    def __init__(self, channels: int = 1, scores: int = 4, size: int = 224, drop: float = 0.2):
        super().__init__()
        self.repeat, width = (3 if channels == 1 else 1), 96
        channels = channels * self.repeat
        self.context = swin_unet.SwinUnet(channels, scores, (2, 2, 6, 2), width=width, size=size, drop=drop)
        self.target = _Target(channels, scores, width, size, drop)
        self.deep = nn.Conv2d(4 * width, scores, 1)
        self.cross = _Cross(4 * width, 2 * width)
        swin.initialise(self)

    def forward(
        self, target: torch.Tensor, context: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor | list[torch.Tensor]]:
        """Scores of a batch."""
        if context is None:
            terms = self(*swin.windows(target))
            return {"zones": swin.whole(terms["target"], terms["context"]), **terms}
        target, context = (x.repeat(1, self.repeat, 1, 1) for x in (target, context))
        scores, maps = self.context.hooks(context)
        x, skips = self.target.encode(target)
        hooked = self.cross(x, swin.centre(maps[1]))  # of (batch, y/8, x/8, 192), the target's ground at y/16
        deep = self.deep(x.permute(0, 3, 1, 2))
        return {"target": self.target.decode(hooked, skips), "context": scores, "deep": [deep]}
