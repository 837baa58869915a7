"""The plain U-Net (Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28) and the choices that papers differ in."""

import collections
from collections.abc import Mapping, Sequence

import torch
from torch import nn


class OwnNorm(nn.BatchNorm2d):
    """Batch norm in training; in prediction each image is normed by its own mean and spread, not by those learnt.

    A scene of another place and light is then like any other: Nado et al. 2020, arXiv:2006.10963, an image at a time.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The normed features (batch, channel, y, x); of a single pixel, which has no spread, by what was learnt."""
        if self.training or x[0, 0].numel() == 1:
            return super().forward(x)
        return nn.functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)


NORMS = {True: nn.BatchNorm2d, "own": OwnNorm}


def pair(inner: int, outer: int, norm: bool | str, dropout: float) -> nn.Sequential:
    """Two 3x3 convolutions (zero-padded, biased) with ReLU; if asked, a norm before each and dropout between."""
    layers = collections.OrderedDict()
    for name, width in (("first", inner), ("second", outer)):
        layers[name] = nn.Conv2d(width, outer, 3, padding=1)
        if norm:
            layers[f"{name}_norm"] = NORMS[norm](outer)
        layers[f"{name}_relu"] = nn.ReLU(inplace=True)
        if dropout and name == "first":
            layers["dropout"] = nn.Dropout(dropout)
    return nn.Sequential(layers)


class UNet(nn.Module):
    """A U-Net of len(`widths`) levels.

    channels: of the input. terms: term name to the number of its scores, read from one shared last layer each.
    widths: channels per level, finest first. norm: True for batch norm after each convolution, "own" for
    one that predicts by each image's own numbers (`OwnNorm`; all of a window is then felt everywhere in it). up:
    "nearest" (doubles pixels, no weights) or "transposed" (2x2 stride 2, halving channels). upsampled_first: order of
    the concatenation, [upsampled, skip] or [skip, upsampled]. dropout: between the two convolutions of a level. neck:
    channels of a 3x3 ReLU layer before the last 1x1 layer, 0 for none.

    forward: (batch, channel, y, x), y and x multiples of `stride` -> dict of (batch, score, y, x).

    >>> network = UNet(2, {"zones": 3}, widths=(4, 8))
    >>> {name: tuple(scores.shape) for name, scores in network(torch.zeros(1, 2, 8, 6)).items()}
    {'zones': (1, 3, 8, 6)}
    """

    def __init__(
        self,
        channels: int,
        terms: Mapping[str, int],
        widths: Sequence[int] = (64, 128, 256, 512, 1024),
        norm: bool | str = False,
        up: str = "nearest",
        upsampled_first: bool = True,
        dropout: float = 0.0,
        neck: int = 0,
    ):
        super().__init__()
        self.stride = 2 ** (len(widths) - 1)
        self.upsampled_first = upsampled_first
        self.down = nn.ModuleList(
            pair(inner, outer, norm, dropout) for inner, outer in zip((channels, *widths), widths, strict=False)
        )
        self.raise_, self.up = nn.ModuleList(), nn.ModuleList()
        for deep, width in zip(widths[:0:-1], widths[-2::-1], strict=True):
            raised = {"nearest": deep, "transposed": width}[up]
            self.raise_.append(
                nn.ConvTranspose2d(deep, width, 2, stride=2) if up == "transposed" else nn.Upsample(scale_factor=2)
            )
            self.up.append(pair(raised + width, width, norm, dropout))
        self.neck = nn.Sequential(nn.Conv2d(widths[0], neck, 3, padding=1), nn.ReLU()) if neck else nn.Identity()
        self.heads = nn.ModuleDict({term: nn.Conv2d(neck or widths[0], n, 1) for term, n in terms.items()})

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Named scores of a batch."""
        skips = []
        for level, block in enumerate(self.down):
            x = block(nn.functional.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for raise_, block in zip(self.raise_, self.up, strict=True):
            parts = (raise_(x), skips[-2])
            skips.pop()
            x = block(torch.cat(parts if self.upsampled_first else parts[::-1], dim=1))
        x = self.neck(x)
        return {term: head(x) for term, head in self.heads.items()}
