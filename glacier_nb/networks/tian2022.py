"""The U-Net with channel attention of Tian et al. 2022 (doi:10.1080/17538947.2022.2036834)."""

import torch
from torch import nn

from glacier_nb.networks.unet import UNet


class ChannelGate(nn.Module):
    """Channels scaled by what their means say (cSE of Roy et al. 2018, arXiv:1803.02579): width, half of it, width.

    forward: (batch, width, y, x) -> the same shape.
    """

    def __init__(self, width: int):
        super().__init__()
        self.squeeze, self.stretch = nn.Linear(width, width // 2), nn.Linear(width // 2, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One map."""
        return x * self.stretch(self.squeeze(x.mean((2, 3))).relu()).sigmoid()[..., None, None]


class GatedUNet(UNet):
    """A U-Net whose every block, down and up, ends in a `ChannelGate`; arguments, forward and stride as `UNet`'s.

    >>> tuple(GatedUNet(2, {"zones": 1}, (4, 8))(torch.zeros(1, 2, 8, 6))["zones"].shape)
    (1, 1, 8, 6)
    """

    def __init__(
        self, channels: int, terms: dict[str, int], widths: tuple[int, ...] = (64, 128, 256, 512, 1024), **options
    ):
        super().__init__(channels, terms, widths, **options)
        self.down = nn.ModuleList(map(nn.Sequential, self.down, map(ChannelGate, widths)))
        self.up = nn.ModuleList(map(nn.Sequential, self.up, map(ChannelGate, widths[-2::-1])))
