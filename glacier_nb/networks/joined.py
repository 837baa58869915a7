"""Networks made of whole networks: members fused by their scores (Xie et al. 2022), inputs stretched per window."""

from collections.abc import Callable, Sequence

import torch
from torch import nn


class Fusion(nn.Module):
    """Members on the same input, and one 1x1 layer on their scores: GlacierNet2 (Xie et al. 2022, arXiv:2204.05818).

    channels: of the input. members: each builds a network with one score called zones. The fusion takes the members'
    scores as given: its loss does not reach them, so that all learn at once what the paper trains one after the other.

    forward: (batch, channel, y, x), y and x multiples of `stride` -> zones (batch, 1, y, x); members (batch, member, y,
    x), their own scores; deep, a list of the same, each as zones are.

    >>> from glacier_nb.networks.threshold import Threshold
    >>> plain = lambda channels: Threshold(channels, 0.5)
    >>> sum(p.numel() for p in Fusion(1, (plain, plain)).parameters())
    3
    """

    def __init__(self, channels: int, members: Sequence[Callable[[int], nn.Module]]):
        super().__init__()
        self.members = nn.ModuleList(build(channels) for build in members)
        self.stride = max(member.stride for member in self.members)
        self.fuse = nn.Conv2d(len(self.members), 1, 1)
        with torch.no_grad():  # begins as the mean
            self.fuse.weight.fill_(1 / len(self.members))
            self.fuse.bias.zero_()

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor | list[torch.Tensor]]:
        """Scores of a batch."""
        own = [member(x)["zones"] for member in self.members]
        members = torch.cat(own, dim=1)
        return {"zones": self.fuse(members.detach()), "members": members, "deep": own}


class Stretched(nn.Module):
    """A network whose input is brought to 0-1 per patch and channel, by the patch's own minimum and maximum.

    channels: of the input. network: builds what follows. forward, stride: the network's.

    >>> from glacier_nb.networks.threshold import Threshold
    >>> x = torch.tensor([2.0, 3.0, 4.0]).reshape(1, 1, 1, 3)
    >>> Stretched(1, lambda channels: Threshold(channels, 0.5))(x)["zones"].flatten().tolist()
    [-5.0, 0.0, 5.0]
    """

    def __init__(self, channels: int, network: Callable[[int], nn.Module]):
        super().__init__()
        self.network = network(channels)
        self.stride = self.network.stride

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of a batch."""
        low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        return self.network((x - low) / (high - low).clamp(min=1e-6))
