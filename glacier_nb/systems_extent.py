"""Systems that map glacier extent, one row each."""

import functools

from torch.optim import AdamW

from glacier_nb import clean, losses, recipes
from glacier_nb.networks.threshold import BandRatio, Threshold
from glacier_nb.networks.unet import UNet
from glacier_nb.recipes import Recipe, System

GLACIER = ("rock", "glacier")
TIDY = ((clean.specks, {"min_area": 10_000.0}),)

ROWS = (
    System(
        name="band-ratio",
        citation="Paul et al. 2013, doi:10.3189/2013AoG63A296; threshold: Diaconu et al., review chapter, figure 1",
        task="extent",
        inputs=("red", "swir16"),
        network=functools.partial(BandRatio, value=2.8),
        finish=recipes.two_zones,
        zones=GLACIER,
        clean=((clean.median, {"size": 3}), *TIDY),
        departs="one threshold for all scenes, 2.8 as shown for Vadret da Misaun; in practice it is picked per scene",
        mean=(0.0, 0.0),
        std=(1.0, 1.0),
        reference_parameters=0,
    ),
    System(
        name="ndsi",
        citation="Dozier 1989, doi:10.1016/0034-4257(89)90101-6",
        task="extent",
        inputs=("ndsi",),
        network=functools.partial(Threshold, value=0.4),
        finish=recipes.two_zones,
        zones=GLACIER,
        clean=((clean.median, {"size": 3}), *TIDY),
        departs="snow, water and clouds that pass 0.4 are kept: the plain baseline",
        mean=(0.0,),
        std=(1.0,),
        reference_parameters=0,
    ),
    System(
        name="extent-demo",
        citation="this project",
        task="extent",
        inputs=(
            *("blue", "green", "red", "nir", "swir16", "swir22", "ndsi"),
            *("slope", "dh_dt", "vv_db", "vh_db"),
        ),
        network=functools.partial(
            UNet,
            terms={"zones": 6},
            widths=(16, 32, 64, 128),
            norm=True,
        ),
        finish=recipes.exclusive_zones,
        zones=("rock", "glacier", "debris cover", "ocean", "melange", "lake"),
        loss=((losses.cross_entropy, 1.0, {}), (losses.dice, 0.5, {})),
        recipe=Recipe(
            patch=128,
            batch=16,
            epochs=4,
            optimiser=functools.partial(AdamW, lr=3e-3, weight_decay=1e-3),
            schedule=recipes.one_cycle,
            symmetries=tuple(range(8)),
        ),
        clean=(
            (clean.specks, {"min_area": 100_000.0, "names": ("melange",)}),
            (clean.specks, {"min_area": 500_000.0, "names": ("ocean", "melange")}),  # a fjord is larger
            *TIDY,
            (clean.holes, {"max_area": 10_000.0}),
        ),
        optional=("dh_dt", "vv_db", "vh_db"),
    ),
)
"""In the order that tables show them."""
