"""Systems of this project's own, one row each: for the demo, and for what the review's outlook asks for."""

import dataclasses
import functools

from torch import Tensor
from torch.optim import AdamW

from glacier_nb import augment, clean, losses, losses_front, recipes, tracing
from glacier_nb.networks import series
from glacier_nb.networks.late_fusion import LateFusion
from glacier_nb.networks.unet import UNet
from glacier_nb.recipes import Recipe, System

_OPTICAL = ("blue", "green", "red", "nir", "swir16", "swir22")
_FORM = ("mean_curvature", "profile_curvature_smoothed", "planform_curvature_smoothed", "ruggedness_smoothed", "sadi")
"""What tells a lobe that creeps from the slope that it lies on; none of it changes where a cut is turned."""
_CLEAN = (
    (clean.specks, {"min_area": 100_000.0, "names": ("melange",)}),
    (clean.specks, {"min_area": 500_000.0, "names": ("ocean", "melange")}),  # a fjord is larger
    (clean.specks, {"min_area": 10_000.0}),
    (clean.holes, {"max_area": 10_000.0}),
)
_RECIPE = Recipe(
    patch=128,
    batch=16,
    epochs=4,
    optimiser=functools.partial(AdamW, lr=3e-3, weight_decay=1e-3),
    schedule=recipes.one_cycle,
    symmetries=tuple(range(8)),
)
_ZONES_LOSS = ((losses.cross_entropy, 1.0, {}), (losses.dice, 0.5, {}))
_six_zones = functools.partial(
    System,
    finish=recipes.exclusive_zones,
    zones=("rock", "glacier", "debris cover", "ocean", "melange", "lake"),
    loss=_ZONES_LOSS,
)


def sides_and_edge(zones: Tensor, edge: Tensor) -> dict[str, Tensor]:
    """The score of the second of two zones, and that of the front between them, as probabilities."""
    return {**recipes.two_zones(zones), "front": edge.sigmoid()}


ROWS = (
    _six_zones(
        name="extent-demo",
        citation="this project",
        task="extent",
        inputs=(*_OPTICAL, "ndsi", "slope", "dh_dt", "vv_db", "vh_db"),
        network=functools.partial(UNet, terms={"zones": 6}, widths=(16, 32, 64, 128), norm=True),
        recipe=_RECIPE,
        clean=_CLEAN,
        optional=("dh_dt", "vv_db", "vh_db"),
    ),
    System(
        name="debris-demo",
        citation="this project",
        task="extent",
        inputs=(*_OPTICAL, "ndsi", "lwir11", "slope", "dh_dt", "vv_db", "vh_db"),
        network=functools.partial(UNet, terms={"zones": 3}, widths=(16, 32, 64, 128), norm=True),
        finish=recipes.exclusive_zones,
        zones=("rock", "glacier", "debris cover"),
        loss=_ZONES_LOSS,
        recipe=_RECIPE,
        clean=_CLEAN[2:],
        optional=("lwir11", "dh_dt", "vv_db", "vh_db"),
    ),
    System(
        name="rock-demo",
        citation="this project",
        task="rock glacier",
        inputs=(*_OPTICAL, "ndsi", "slope", *_FORM, "vv_db", "vh_db"),
        network=functools.partial(UNet, terms={"zones": 1}, widths=(16, 32, 64, 128), norm=True),
        finish=recipes.two_zones,
        zones=("rock", "rock glacier"),
        loss=((losses.binary_cross_entropy, 1.0, {}), (losses.foreground_dice, 0.5, {})),
        recipe=dataclasses.replace(_RECIPE, epochs=8),
        clean=(
            (clean.specks, {"min_area": 10_000.0, "names": ("rock glacier",)}),
            (clean.enclosed, {"names": ("rock glacier",), "max_area": 10_000.0}),
        ),
        optional=("vv_db", "vh_db"),
    ),
    _six_zones(
        name="any-sensors",
        citation="this project; fusion as Havaei et al. 2016, arXiv:1607.05194",
        task="extent",
        inputs=(*_OPTICAL, "ndsi", "vv_db", "vh_db", "lwir11", "dh_dt", "slope"),
        network=functools.partial(LateFusion, terms={"zones": 6}, parts=(7, 2, 1, 1, 1)),
        recipe=_RECIPE,
        clean=_CLEAN,
        optional=(*_OPTICAL, "ndsi", "vv_db", "vh_db", "lwir11", "dh_dt"),
    ),
    _six_zones(
        name="front-series",
        citation="this project, after the outlook of Diaconu et al., review chapter",
        task="front",
        inputs=("green", "red", "nir", "swir16", "vv_db", "vh_db"),
        network=functools.partial(series.Series, terms={"zones": 6}),
        recipe=dataclasses.replace(_RECIPE, batch=4, epochs=20),
        clean=_CLEAN,
        optional=("vv_db", "vh_db"),
        series=True,
    ),
    System(
        name="fronts-landsat",
        citation="this project; two tasks as Heidler et al. 2022, doi:10.1109/TGRS.2021.3064606",
        task="front",
        inputs=("grey",),
        network=functools.partial(
            UNet, terms={"zones": 1, "edge": 1}, widths=(16, 32, 64, 128, 256), norm="own", dropout=0.1
        ),
        finish=sides_and_edge,
        zones=("glacier", "ocean"),
        loss=(
            (losses_front.front_cross_entropy, 1.0, {"front_weight": 10.0}),
            (losses_front.near_front, 0.5, {"wide": 3, "beyond": 1.0}),
            (losses.binary_cross_entropy, 0.5, {}),
        ),
        recipe=Recipe(
            patch=128,
            batch=10,
            epochs=40,
            optimiser=functools.partial(AdamW, lr=2e-3, weight_decay=1e-2),
            schedule=recipes.one_cycle,
            symmetries=(0, 4),
            augment=(
                (augment.rotated, 0.7, {"most": 20.0}),
                (augment.scaled, 0.7, {"low": 0.6, "high": 1.3}),
                (augment.toned, 0.8, {"gain": 0.4, "lift": 0.6}),
                (augment.inverted, 0.2, {}),
                (augment.noisy, 0.3, {"spread": 0.3}),
            ),
        ),
        trace=(tracing.minimum_cost, {"points": 1000, "every": 50}),
        views=(0, 4),
        mean=(0.5,),
        std=(0.3,),
    ),
)
"""In the order that tables show them."""
