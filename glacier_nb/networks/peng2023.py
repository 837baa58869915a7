"""Swin encoder, Twins decoder of Peng et al. 2023, after the review by Diaconu et al.: no code, widths unknown.

Encoder and patch expanding as in `swin_unet`, Twins-SVT blocks (Chu et al. 2021, arXiv:2104.13840) from timm,
local-global blocks and the refinement head from `unetformer`.
"""

from collections.abc import Sequence

import torch
from torch import nn

from glacier_nb.networks import swin, unetformer

from timm.models.twins import Block, PosConv  # isort: skip  # behind swin, which cures torchvision


class _Twins(nn.Module):
    """Attention in windows, position convolution, attention to a subsampled map; then one local-global block.

    forward: (batch, y, x, width) -> the same shape; y and x multiples of `ratio`.
    """

    def __init__(self, width: int, heads: int, window: int, ratio: int, drop: float):
        super().__init__()
        self.near = Block(width, heads, ws=window, drop_path=drop)
        self.place = PosConv(width, width)
        self.far = Block(width, heads, ws=1, sr_ratio=ratio, drop_path=drop)
        self.both = unetformer.Block(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[1:3]
        tokens = self.place(self.near(x.flatten(1, 2), size), size)
        x = self.far(tokens, size).transpose(1, 2).unflatten(2, size)
        return self.both(x).permute(0, 2, 3, 1)


class SwinTwins(nn.Module):
    """A U-shaped network: Swin stages down, Twins and local-global blocks up, a feature refinement head at stride 4.

    channels: of the input. scores: number of zones. depths, heads: of the encoder's four stages. width: of the first.
    window: in tokens. size: side of the patch that decides shifts. drop: stochastic depth of the deepest block. The
    widths of the decoder are Swin-Unet's: a plain choice, as the paper's are not known.

    forward: (batch, channel, y, x), y and x multiples of `stride` -> zones (batch, score, y, x), raw scores.

    >>> tuple(SwinTwins(2, width=16, heads=(1, 2, 2, 2)).eval()(torch.zeros(1, 2, 32, 64))["zones"].shape)
    (1, 2, 32, 64)
    """

    stride = 32

    def __init__(
        self,
        channels: int,
        scores: int = 2,
        depths: Sequence[int] = (2, 2, 2, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
        width: int = 96,
        window: int = 7,
        size: int = 224,
        drop: float = 0.2,
    ):
        super().__init__()
        rates = swin.rates(depths, drop)
        widths = [width << level for level in range(4)]
        self.patch_embed = swin.embed(channels, width)
        self.layers = nn.ModuleList(
            swin.Stage(w, h, size // 4 >> level, window, r, "downsample" if level < 3 else None)
            for level, (w, h, r) in enumerate(zip(widths, heads, rates, strict=True))
        )
        self.norm = nn.LayerNorm(widths[3])
        self.expand = nn.ModuleList(swin.Expand(2 * w, w) for w in widths[2:0:-1])  # to stride 16, to stride 8
        self.back = nn.ModuleList(nn.Linear(2 * w, w) for w in widths[2:0:-1])
        self.twins = nn.ModuleList(
            _Twins(widths[level], heads[level], window, 8 >> level, rates[level][-1]) for level in (2, 1, 0)
        )
        self.narrow = nn.Linear(widths[1], width)
        self.refine = unetformer.Refinement(width, width)
        self.norm_up, self.up = nn.LayerNorm(width), swin.Expand(width, width, 4)
        self.output = nn.Conv2d(width, scores, 1, bias=False)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of a batch."""
        x, skips = self.patch_embed(x), []
        for stage in self.layers:
            skips.append(x)
            x = stage(x)
        skips.pop()
        x = self.norm(x)
        *coarse, fine = self.twins
        for expand, back, twins in zip(self.expand, self.back, coarse, strict=True):
            x = twins(swin.concatenate(expand(x), skips.pop(), back))
        x = self.refine(self.narrow(x).permute(0, 3, 1, 2), skips.pop().permute(0, 3, 1, 2))  # (batch, width, y/4, x/4)
        x = self.up(self.norm_up(fine(x.permute(0, 2, 3, 1))))
        return {"zones": self.output(x.permute(0, 3, 1, 2))}
