"""Any subset of sensors: one small encoder for each, the mean of the encodings that are there, one decoder.

The outlook of the review by Diaconu et al. asks for systems that use what sensors there are; fusion by the mean of
encodings is that of HeMIS (Havaei et al. 2016, arXiv:1607.05194), here at every level of a U-Net and pixel by pixel.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn.functional import max_pool2d

from glacier_nb.networks.unet import pair


class LateFusion(nn.Module):
    """A U-Net with an encoder per sensor.

    channels: of the input, sensors one after another. terms: term name to the number of its scores. parts: channels of
    each sensor. widths: channels per level, finest first. forget: chance that a sensor is left out of a sample in
    training; one at least is kept.

    A sensor is missing at a pixel where all its channels are exactly 0, which is what prediction and training put for
    unseen values after normalisation: clouds and whole missing sensors are one case. Where no sensor saw a pixel the
    encodings are 0.

    forward: (batch, channel, y, x), y and x multiples of `stride` -> dict of (batch, score, y, x).

    >>> network = LateFusion(3, {"zones": 2}, parts=(2, 1), widths=(4, 8)).eval()
    >>> x = torch.rand(1, 3, 4, 4)
    >>> alone = torch.cat((x[:, :2], torch.zeros(1, 1, 4, 4)), dim=1)
    >>> tuple(network(alone)["zones"].shape)
    (1, 2, 4, 4)
    """

    def __init__(
        self,
        channels: int,
        terms: Mapping[str, int],
        parts: Sequence[int],
        widths: Sequence[int] = (16, 32, 64, 128),
        forget: float = 0.3,
    ):
        super().__init__()
        if sum(parts) != channels:
            raise ValueError(f"channels={channels} but parts {tuple(parts)}: make them add up")
        self.parts, self.forget, self.stride = tuple(parts), forget, 2 ** (len(widths) - 1)
        self.encoders = nn.ModuleList(
            nn.ModuleList(pair(inner, outer, True, 0.0) for inner, outer in zip((part, *widths), widths, strict=False))
            for part in parts
        )
        self.up = nn.ModuleList(
            pair(deep + width, width, True, 0.0) for deep, width in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.raise_ = nn.Upsample(scale_factor=2)
        self.heads = nn.ModuleDict({term: nn.Conv2d(widths[0], n, 1) for term, n in terms.items()})

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Named scores of a batch."""
        sensors = x.split(self.parts, dim=1)
        there = [(sensor != 0).any(dim=1, keepdim=True).to(x.dtype) for sensor in sensors]  # (batch, 1, y, x)
        if self.training:
            kept = self._kept(len(x), x.device).to(x.dtype)
            there = [mask * kept[:, k, None, None, None] for k, mask in enumerate(there)]
        sensors = [sensor * mask for sensor, mask in zip(sensors, there, strict=True)]
        levels = []
        for level in range(len(self.encoders[0])):
            if level:
                sensors, there = ([max_pool2d(one, 2) for one in many] for many in (sensors, there))
            sensors = [encoder[level](sensor) for encoder, sensor in zip(self.encoders, sensors, strict=True)]
            seen = sum(mask * sensor for mask, sensor in zip(there, sensors, strict=True))
            levels.append(seen / sum(there).clamp(min=1))
        x = levels.pop()
        for block in self.up:
            x = block(torch.cat((self.raise_(x), levels.pop()), dim=1))
        return {term: head(x) for term, head in self.heads.items()}

    def _kept(self, samples: int, device: torch.device) -> torch.Tensor:
        """Which sensors each sample keeps: bool (sample, sensor), one at least."""
        draw = torch.rand(samples, len(self.parts), device=device)
        return (draw >= self.forget) | (draw == draw.amax(dim=1, keepdim=True))
