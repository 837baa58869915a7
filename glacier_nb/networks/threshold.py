"""Networks without parameters: one index, one threshold. The baselines that every table carries."""

import torch
from torch import nn


class Threshold(nn.Module):
    """Score of "glacier" from one index: zero at `value`, rising by `steepness` per unit of the index.

    forward: (batch, 1, y, x) -> zones (batch, 1, y, x). The sigmoid of the score is 0.5 at the threshold, so that a
    contour there is the threshold's own; elsewhere it is no calibrated probability. NDSI > 0.4: Dozier 1989,
    doi:10.1016/0034-4257(89)90101-6.

    >>> Threshold(1, 0.5)(torch.tensor([0.5, 1.0]).reshape(1, 1, 1, 2))["zones"].flatten().tolist()
    [0.0, 5.0]
    """

    stride = 1

    def __init__(self, channels: int, value: float, steepness: float = 10.0):
        super().__init__()
        if channels != 1:
            raise ValueError(f"a threshold takes 1 input, not {channels}")
        self.value, self.steepness = value, steepness

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of one index image."""
        return {"zones": (x - self.value) * self.steepness}


class BandRatio(nn.Module):
    """Score of "glacier" from the ratio of two bands: zero where first / second is `value`.

    forward: (batch, 2, y, x) reflectance -> zones (batch, 1, y, x), steepness x ln(ratio / value).
    Red / SWIR1 on the method: Paul et al. 2013, doi:10.3189/2013AoG63A296.

    >>> BandRatio(2, 2.0)(torch.tensor([0.6, 0.3]).reshape(1, 2, 1, 1))["zones"].item()
    0.0
    """

    stride = 1
    floor = 1e-4  # one digital number of Sentinel-2: a darker denominator is noise

    def __init__(self, channels: int, value: float, steepness: float = 4.0):
        super().__init__()
        if channels != 2:
            raise ValueError(f"a ratio takes 2 inputs, not {channels}")
        self.value, self.steepness = value, steepness

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of two bands."""
        above, below = x.clamp(min=self.floor).split(1, dim=1)
        return {"zones": torch.log(above / below / self.value) * self.steepness}
