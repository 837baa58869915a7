"""Systems that trace calving fronts, one row each."""

import functools

from torch.optim import Adam

from glacier_nb import losses, recipes
from glacier_nb.networks.unet import UNet
from glacier_nb.recipes import Recipe, System

ROWS = (
    System(
        name="mohajerani2019",
        citation="Mohajerani et al. 2019, doi:10.3390/rs11010074",
        task="front",
        inputs=("grey",),
        network=functools.partial(UNet, terms={"background": 1}, widths=(32, 64, 128, 256), dropout=0.2, neck=3),
        finish=recipes.front_from_background,
        loss=((losses.background_cross_entropy, 1.0, {"front_weight": 241.15}),),
        recipe=Recipe(
            patch=152,
            batch=10,
            epochs=100,
            optimiser=functools.partial(Adam, lr=1e-3),
            schedule=functools.partial(recipes.plateau, patience=5, factor=0.5),
        ),
        departs="the released definition has four levels; the published weights hold two and bring their own network",
        mean=(0.0,),
        std=(1.0,),
        reference_parameters=1_947_143,
    ),
)
"""In the order that tables show them."""
