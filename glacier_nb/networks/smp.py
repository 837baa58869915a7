"""Encoders and decoders that segmentation-models-pytorch has, under our habits: named terms and a stride."""

from collections.abc import Mapping

import torch
from torch import nn

from glacier_nb import networks

NAMES, LAYOUT = ((r"^", "network."),), "torch"


class Smp(nn.Module):
    """`architecture`(`encoder`) of segmentation-models-pytorch, its output split into named terms.

    channels: of the input. terms: term name to the number of its scores, in the order of the output channels.
    weights: name of pretrained encoder weights (a download), or None. options: passed on to smp.
    Iakubovskii 2019, https://github.com/qubvel-org/segmentation_models.pytorch.

    forward: (batch, channel, y, x), y and x multiples of `stride` -> dict of (batch, score, y, x).
    """

    def __init__(
        self,
        channels: int,
        terms: Mapping[str, int],
        architecture: str = "Unet",
        encoder: str = "resnet34",
        weights: str | None = None,
        **options,
    ):
        super().__init__()
        networks.torchvision()  # smp imports it
        import segmentation_models_pytorch as smp  # 3 s: only where such a network is built

        self.sizes = dict(terms)
        self.stride = 2 ** options.get("encoder_depth", 5)
        self.network = getattr(smp, architecture)(
            encoder, encoder_weights=weights, in_channels=channels, classes=sum(self.sizes.values()), **options
        )

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Named scores of a batch."""
        return dict(zip(self.sizes, self.network(x).split(list(self.sizes.values()), dim=1), strict=True))
