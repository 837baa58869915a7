"""Systems that were published to follow glacier extent through the years, one row each."""

import functools

from torch.optim import SGD

from glacier_nb import losses, recipes
from glacier_nb.networks.smp import Smp
from glacier_nb.recipes import Recipe, System

GLACIER = ("rock", "glacier")

ROWS = (
    System(
        name="diaconu2023",
        citation="Diaconu et al. 2023, workshop Tackling Climate Change with Machine Learning at NeurIPS",
        task="change",
        inputs=("red", "green", "blue", "nir", "swir22", "elevation"),  # B4, B3, B2, B8, B12, NASADEM
        network=functools.partial(Smp, terms={"zones": 1}, encoder="resnet34", decoder_use_norm=False),
        finish=recipes.two_zones,
        zones=GLACIER,
        loss=((losses.binary_cross_entropy, 1.0, {}),),
        recipe=Recipe(
            patch=256,
            batch=16,
            epochs=50,
            optimiser=functools.partial(SGD, lr=0.01, momentum=0.95, nesterov=True),
            schedule=functools.partial(recipes.drops, at=(10 / 50, 25 / 50), factor=0.1),
        ),
        departs="patches drawn anywhere, not on a grid around glaciers; the encoder starts from random weights"
        " unless a run asks for ImageNet's; best by validation loss, not by IoU per glacier",
        reference_parameters=24_444_785,
    ),
)
"""In the order that tables show them."""
