"""A series of dates in, a map for each of them out: dates that saw the ground lend to those that did not.

Our answer to the outlook of the review by Diaconu et al. The attention between dates is found where the maps are
coarsest and used at every level, as in U-TAE (Garnot and Landrieu 2021, arXiv:2107.07933), but for every date and not
for all at once.
"""

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from glacier_nb.networks.unet import pair


class Dates(nn.Module):
    """How much each date looks at each other one, by what both show, how far apart they are and what was seen.

    heads: looks side by side, which fade with the time between over 10 to 1000 days. A date may look at none.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.none = nn.Parameter(torch.randn(heads, width // heads) / width)
        self.register_buffer("fade", torch.logspace(-1, -3, heads), persistent=False)  # per day

    def forward(self, x: torch.Tensor, days: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """(batch, time, width, y, x), (batch, time), (batch, time, y, x) -> (batch, head, time, time, y, x).

        The third tells the share that was seen. The sum over the second time, the dates looked at, is one at most.
        """
        query, key = (
            layer(x.flatten(0, 1)).unflatten(0, x.shape[:2]).unflatten(2, (self.heads, -1))
            for layer in (self.query, self.key)
        )  # (batch, time, head, channel, y, x)
        # One date looked at after the other: as one product it would be many tiny matrices, ten times as slow.
        scores = torch.stack([(query * other[:, None]).sum(dim=3) for other in key.unbind(1)], dim=2).movedim(3, 1)
        scores = scores / query.shape[3] ** 0.5  # (batch, head, time, time, y, x)
        apart = (days[:, :, None] - days[:, None]).abs()[:, None] * self.fade[:, None, None]
        blind = seen.clamp(min=1e-4).log()[:, None, None]  # what was not seen is looked at last
        none = (query * self.none[..., None, None]).sum(dim=3).movedim(2, 1)[:, :, :, None]
        return torch.cat([scores - apart[..., None, None] + blind, none], dim=3).softmax(dim=3)[:, :, :, :-1]


class Series(nn.Module):
    """A U-Net shared by all dates, whose levels also get what the other dates show.

    channels: of one date. terms: term name to the number of its scores. widths: channels per level, finest first,
    multiples of `heads`.
    forward: x (batch, time * channel, y, x), date by date, y and x multiples of `stride`, 0 in all channels where
    nothing was seen; days (batch, time), on any count (None: a date a year) -> dict of (batch * time, score, y, x), a
    series' dates one after the other. The dates may have any order and number, also one.

    >>> network = Series(2, {"zones": 3}, widths=(4, 8))
    >>> [tuple(network(torch.zeros(shape))["zones"].shape) for shape in ((1, 10, 8, 6), (1, 2, 8, 6))]
    [(5, 3, 8, 6), (1, 3, 8, 6)]
    """

    def __init__(
        self, channels: int, terms: Mapping[str, int], widths: Sequence[int] = (16, 32, 64, 128), heads: int = 4
    ):
        super().__init__()
        self.channels, self.stride = channels, 2 ** (len(widths) - 1)
        self.down = nn.ModuleList(
            pair(inner, outer, True, 0.0) for inner, outer in itertools.pairwise((channels + 1, *widths))
        )
        self.dates = Dates(widths[-1], heads)
        self.lent = nn.ModuleList(pair(2 * width, width, True, 0.0) for width in widths)
        self.up = nn.ModuleList(
            pair(deep + width, width, True, 0.0) for width, deep in itertools.pairwise(widths)
        )  # finest first
        self.heads = nn.ModuleDict({term: nn.Conv2d(widths[0], n, 1) for term, n in terms.items()})

    def forward(self, x: torch.Tensor, days: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Named scores of every date."""
        x = x.unflatten(1, (-1, self.channels))
        batch, time = x.shape[:2]
        if days is None:
            days = 365.0 * torch.arange(time, device=x.device).expand(batch, time)
        seen = x.ne(0).any(dim=2, keepdim=True).to(x)
        x = torch.cat([x, seen], dim=2).flatten(0, 1)
        levels = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            levels.append(x)
        share = F.avg_pool2d(seen.flatten(0, 1), self.stride).unflatten(0, (batch, time))[:, :, 0]
        looks = self.dates(x.unflatten(0, (batch, time)), days.to(x), share)
        levels = [block(self._lend(level, looks)) for block, level in zip(self.lent, levels, strict=True)]
        x = levels.pop()
        for block, skip in zip(reversed(self.up), reversed(levels), strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0), skip], dim=1))
        return {term: head(x) for term, head in self.heads.items()}

    def _lend(self, own: torch.Tensor, looks: torch.Tensor) -> torch.Tensor:
        """Features (batch * time, width, y, x) beside those of the dates looked at, a group of channels a head."""
        batch, heads, time = looks.shape[:3]
        fine = F.interpolate(looks.flatten(0, 2), size=own.shape[2:], mode="bilinear", align_corners=False)
        fine = fine.unflatten(0, (batch, heads, time)).movedim(1, 2)  # (batch, time, head, time, y, x)
        groups = own.unflatten(0, (batch, time)).unflatten(2, (heads, -1))  # (batch, time, head, channel, y, x)
        lent = sum(fine[:, :, :, s, None] * groups[:, None, s] for s in range(time))
        return torch.cat([own, lent.flatten(2, 3).flatten(0, 1)], dim=1)
