"""Swin-Unet of Cao et al. 2021 (arXiv:2105.05537), the base that Peng et al. 2023 build on.

Names as in the released code, HuCaoFighting/Swin-Unet.
"""

from collections.abc import Sequence

import torch
from torch import nn

from glacier_nb.networks import swin

# Position indices and masks are made anew from the window and map size.
NAMES, LAYOUT = ((r"(relative_position_index|attn_mask)$", None),), "torch"


class SwinUnet(nn.Module):
    """A U-shaped Swin transformer.

    channels: of the input. scores: number of zones. depths: blocks per encoder stage; the decoder mirrors all but
    the last. size: side in pixels of the patch whose maps decide windows and shifts. window: in tokens. bias: of the
    last 1x1 layer. drop: stochastic depth of the deepest block. Cao et al. 2021, arXiv:2105.05537; the
    widths of Peng et al. 2023 are not known.

    forward: (batch, channel, y, x), y and x multiples of `stride` -> zones (batch, score, y, x), raw scores. `hooks`
    gives the same and the decoder maps that hook networks read. Other patches than `size` run too, with its windows.

    >>> tuple(SwinUnet(2, 3, (1, 1), heads=(1, 2), width=8, size=32)(torch.zeros(1, 2, 32, 64))["zones"].shape)
    (1, 3, 32, 64)
    """

    def __init__(
        self,
        channels: int,
        scores: int = 2,
        depths: Sequence[int] = (2, 2, 2, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
        width: int = 96,
        window: int = 7,
        size: int = 224,
        bias: bool = False,
        drop: float = 0.2,
    ):
        super().__init__()
        last = len(depths) - 1
        self.stride = 4 * 2**last
        rates = swin.rates(depths, drop)
        widths, sizes = ([width << i for i in range(last + 1)], [(size // 4) >> i for i in range(last + 1)])
        plan = list(zip(widths, heads, sizes, (window,) * (last + 1), rates, strict=True))
        self.patch_embed = swin.embed(channels, width)
        self.layers = nn.ModuleList(
            swin.Stage(*plan[i], then="downsample" if i < last else None) for i in range(last + 1)
        )
        self.norm = nn.LayerNorm(widths[-1])
        self.layers_up = nn.ModuleList([swin.Expand(widths[-1], widths[-2])])
        self.concat_back_dim = nn.ModuleList([nn.Identity()])
        for i in range(last - 1, -1, -1):
            self.layers_up.append(swin.Stage(*plan[i], then="upsample" if i else None))
            self.concat_back_dim.append(nn.Linear(2 * widths[i], widths[i]))
        self.norm_up = nn.LayerNorm(width)
        self.up = swin.Expand(width, width, 4)
        self.output = nn.Conv2d(width, scores, 1, bias=bias)
        swin.initialise(self)

    def hooks(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Zone scores, and the output of every decoder element (batch, y, x, channel), coarsest first."""
        x, skips, maps = self.patch_embed(x), [], []
        for stage in self.layers:
            skips.append(x)
            x = stage(x)
        skips.pop()
        x = self.norm(x)
        for number, (element, back) in enumerate(zip(self.layers_up, self.concat_back_dim, strict=True)):
            x = element(swin.concatenate(x, skips.pop(), back) if number else x)
            maps.append(x)
        x = self.up(self.norm_up(x)).permute(0, 3, 1, 2)
        return self.output(x), maps

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of a batch."""
        return {"zones": self.hooks(x)[0]}
