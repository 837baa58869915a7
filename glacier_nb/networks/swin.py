"""Pieces of Swin U-shaped networks, maps as (batch, y, x, channel): stages, patch expanding, cross-attention blocks.

Self-attention blocks, patch embedding and patch merging are timm's (Liu et al. 2021, arXiv:2103.14030); patch expanding
is that of Swin-Unet (Cao et al. 2021, arXiv:2105.05537), cross-attention that of HookFormer.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import interpolate, pad, scaled_dot_product_attention

from glacier_nb import networks

networks.torchvision()  # timm imports it

from timm.layers import DropPath, Mlp, PatchEmbed  # noqa: E402
from timm.models.swin_transformer import (  # noqa: E402
    PatchMerging,
    SwinTransformerBlock,
    get_relative_position_index,
    window_partition,
    window_reverse,
)


def embed(channels: int, width: int) -> PatchEmbed:
    """Patches of 4 x 4 pixels to tokens: (batch, channel, y, x) -> (batch, y/4, x/4, width), normalised."""
    return PatchEmbed(
        None, 4, channels, width, norm_layer=nn.LayerNorm, flatten=False, output_fmt="NHWC", strict_img_size=False
    )


def rates(depths: Sequence[int], last: float) -> list[list[float]]:
    """Rates of stochastic depth per stage and block, growing evenly from 0 to `last` over all blocks.

    >>> rates((2, 3), 1.0)
    [[0.0, 0.25], [0.5, 0.75, 1.0]]
    """
    steps = max(sum(depths) - 1, 1)
    even = iter([last * i / steps for i in range(sum(depths))])
    return [[next(even) for _ in range(depth)] for depth in depths]


class Expand(nn.Module):
    """`factor` times the pixels: a bias-free linear layer, its channels laid out as (row, column, channel), a norm.

    forward: (batch, y, x, inner) -> (batch, factor y, factor x, outer).
    """

    def __init__(self, inner: int, outer: int, factor: int = 2):
        super().__init__()
        self.factor = factor
        self.expand = nn.Linear(inner, factor * factor * outer, bias=False)
        self.norm = nn.LayerNorm(outer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens of one map."""
        x = self.expand(x).unflatten(3, (self.factor, self.factor, -1))  # (batch, y, x, row, column, outer)
        return self.norm(x.transpose(2, 3).flatten(3, 4).flatten(1, 2))


class Stage(nn.Module):
    """Blocks of one resolution, every second with shifted windows, then a change of resolution if asked.

    width: channels. size: side of the map in tokens that decides window and shift, as in Swin: a map no larger than
    the window is one window and does not shift. rates: stochastic depth per block, as many as there are blocks.
    then: "downsample" (merging 2 x 2, twice the channels), "upsample" (expanding 2 x 2, half the channels) or None.

    forward: (batch, y, x, channel) -> the same, resolution and channels changed by `then`.

    >>> tuple(Stage(8, 2, 4, 2, (0.0, 0.0), "downsample")(torch.zeros(1, 4, 6, 8)).shape)
    (1, 2, 3, 16)
    """

    def __init__(self, width: int, heads: int, size: int, window: int, rates: Sequence[float], then: str | None = None):
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                SwinTransformerBlock(
                    width,
                    (size, size),
                    heads,
                    window_size=window,
                    shift_size=window // 2 * (number % 2),
                    dynamic_mask=True,  # other maps than size x size get their own mask
                    drop_path=rate,
                )
                for number, rate in enumerate(rates)
            )
        )
        self.then = then
        if then == "downsample":
            self.downsample = PatchMerging(width, 2 * width)
        elif then == "upsample":
            self.upsample = Expand(width, width // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens of one map."""
        x = self.blocks(x)
        return self.get_submodule(self.then)(x) if self.then else x


class CrossAttention(nn.Module):
    """Attention in windows whose queries come from one map and whose keys and values come from another."""

    def __init__(self, width: int, heads: int, window: int):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.proj = nn.Linear(width, width)
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        index = get_relative_position_index(window, window)
        self.register_buffer("relative_position_index", index, persistent=False)

    def forward(self, x: torch.Tensor, other: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Tokens (window, token, channel) of both maps, and what a mask (window, 1, token, token) adds to scores."""
        q, k, v = (
            layer(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, tokens in ((self.q, x), (self.k, other), (self.v, other))
        )
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None]
        x = scaled_dot_product_attention(q, k, v, bias if mask is None else bias + mask)
        return self.proj(x.transpose(1, 2).flatten(2))


class CrossBlock(nn.Module):
    """A Swin block whose keys and values come from another map, normalised with the block's own first norm.

    forward: two maps (batch, y, x, channel) -> the first, changed. Sides are padded to whole windows, as in Swin.
    """

    def __init__(self, width: int, heads: int, window: int, shift: int, rate: float = 0.0):
        super().__init__()
        self.window, self.shift = (window, window), shift
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = CrossAttention(width, heads, window)
        self.mlp = Mlp(width, 4 * width)
        self.drop_path = DropPath(rate)

    def forward(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Both maps."""
        high, wide = x.shape[1:3]
        rows, columns = -high % self.window[0], -wide % self.window[1]
        parts = []
        for part in (x, other):
            part = torch.roll(self.norm1(part), (-self.shift, -self.shift), (1, 2))
            parts.append(window_partition(pad(part, (0, 0, 0, columns, 0, rows)), self.window).flatten(1, 2))
        size = (high + rows, wide + columns)
        seen = window_reverse(self.attn(*parts, self._mask(x, size)).unflatten(1, self.window), self.window, *size)
        seen = torch.roll(seen[:, :high, :wide], (self.shift, self.shift), (1, 2))
        x = x + self.drop_path(seen)
        return x + self.drop_path(self.mlp(self.norm2(x)))

    def _mask(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor | None:
        """-100 between tokens that a roll has brought into one window from opposite edges."""
        if not self.shift:
            return None
        rows, columns = (torch.zeros(side, device=x.device) for side in size)
        for side in (rows, columns):
            side[-self.window[0] :] = 1
            side[-self.shift :] = 2
        regions = window_partition((3 * rows[:, None] + columns)[None, :, :, None], self.window).flatten(1)
        apart = regions[:, None, None, :] != regions[:, None, :, None]  # (window, 1, token, token)
        return (apart * -100.0).to(x.dtype).repeat(len(x), 1, 1, 1)


def concatenate(x: torch.Tensor, skip: torch.Tensor, back: nn.Linear) -> torch.Tensor:
    """[decoder, skip] on the channel axis, taken back to half by a linear layer."""
    return back(torch.cat((x, skip), dim=3))


def centre(x: torch.Tensor) -> torch.Tensor:
    """The middle half along y and x of a map (batch, y, x, channel): a view.

    >>> centre(torch.arange(16).reshape(1, 4, 4, 1)).flatten().tolist()
    [5, 6, 9, 10]
    """
    (top, high), (left, wide) = (((side - side // 2) // 2, side // 2) for side in x.shape[1:3])
    return x[:, top : top + high, left : left + wide]


def windows(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Target and context (batch, channel, y/2, x/2) of one window: its middle half; all of it, resized (bicubic)."""
    target = centre(x.movedim(1, 3)).movedim(3, 1)
    return target, interpolate(x, scale_factor=0.5, mode="bicubic", align_corners=False)


def whole(target: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    """Scores (batch, score, 2y, 2x) of one window: the target's in the middle half, the context's around it."""
    zones = interpolate(context, scale_factor=2, mode="bilinear", align_corners=False)
    centre(zones.movedim(1, 3)).copy_(target.movedim(1, 3))
    return zones


def initialise(network: nn.Module) -> None:
    """Swin's start: linear weights normal with deviation 0.02, biases 0 (Liu et al. 2021, released code)."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
