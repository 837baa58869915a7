"""GlaViTU that knows where on Earth it looks, or finds out: Maslov et al. 2025 (arXiv:2401.15113)."""

import functools
from collections.abc import Callable, Sequence

import torch
from torch import nn

from glacier_nb.networks.glavitu import glavitu_2024


class Placed(nn.Module):
    """A network whose last `location` channels hold a code of the place, the same over the whole patch.

    channels: of the input, code included. network: takes the channels and `location` and reads the code's mean.
    unknown: chance in training that a sample's code becomes "unknown", 1 in its last number; 0 for codes without one.
    Pixels whose code is all 0 (unseen) do not count.

    forward: (batch, channel, y, x), y and x multiples of `stride` -> the network's terms.
    """

    def __init__(
        self, channels: int, location: int, network: Callable[..., nn.Module] = glavitu_2024, unknown: float = 0.0
    ):
        super().__init__()
        self.count, self.unknown = location, unknown
        self.network = network(channels, location=location)
        self.stride = self.network.stride

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor | list[torch.Tensor]]:
        """Scores of a batch."""
        x, code = x[:, : -self.count], x[:, -self.count :]
        there = (code != 0).any(dim=1, keepdim=True)
        code = (code * there).sum((2, 3)) / there.sum((2, 3)).clamp(min=1)
        if self.training and self.unknown:
            hidden = torch.rand(len(x), 1, device=x.device) < self.unknown
            code = torch.where(hidden, nn.functional.one_hot(torch.tensor(self.count - 1), self.count).to(code), code)
        return self.network(torch.cat((x, code[..., None, None].expand(-1, -1, *x.shape[2:])), dim=1))


region = functools.partial(Placed, location=12, unknown=0.5)
coordinates = functools.partial(Placed, location=4)


def settle(
    network: nn.Module,
    windows: Sequence[torch.Tensor],
    location: int = 12,
    rate: float = 1e-4,
    epochs: int = 100,
    still: float = 1e-8,
) -> torch.Tensor:
    """The code of an unseen place, (location,) and summing to one, with which the network is surest of what it sees.

    network: ready to predict, its terms' zones are scores (batch, zone, y, x). windows: batches (batch, channel, y, x),
    tensors or arrays, without the code; NaN in all channels is unseen. A free vector behind a softmax is led down the
    mean Shannon entropy of the zones by Adam at `rate`, once through all windows an epoch, until the entropy has
    changed by less than `still` five times in a row. The network itself stays as it is.

    >>> class Sure(nn.Module):  # certain where the second number of the code is large
    ...     def forward(self, x):
    ...         return {"zones": torch.cat((x[:, 2:3], -x[:, 2:3]), dim=1)}
    >>> code = settle(Sure(), [torch.zeros(1, 1, 2, 2)], location=2, rate=0.1)
    >>> bool(code[1] > 0.9)
    True
    """
    device = next((tensor.device for tensor in network.parameters()), None)
    free = torch.zeros(location, requires_grad=True, device=device)
    optimiser, before, calm = torch.optim.Adam([free], rate), None, 0
    for _ in range(epochs):
        total = 0.0
        for window in windows:
            window = torch.as_tensor(window, device=device)
            seen, window = ~window.isnan().all(dim=1), window.nan_to_num()
            code = free.softmax(dim=0).to(window)[None, :, None, None].expand(len(window), -1, *window.shape[2:])
            log = network(torch.cat((window, code), dim=1))["zones"].log_softmax(dim=1)
            entropy = -(log.exp() * log).sum(dim=1)[seen].mean()
            (free.grad,) = torch.autograd.grad(entropy, [free])
            optimiser.step()
            total += entropy.item() / len(windows)
        calm = calm + 1 if before is not None and abs(total - before) < still else 0
        before = total
        if calm == 5:
            break
    return free.detach().softmax(dim=0).cpu()
