"""Systems that map rock glaciers, one row each."""

import functools

from torch.optim import SGD, Adam

from glacier_nb import clean, losses, objects, recipes
from glacier_nb.networks.obia_cnn import HeatMap
from glacier_nb.networks.smp import Smp
from glacier_nb.recipes import Recipe, System

ROCK_GLACIER = ("rock", "rock glacier")
OURS = "batch, length of training and augmentation are plain choices"
BCE = ((losses.binary_cross_entropy, 1.0, {}),)

_deeplab = functools.partial(
    System,
    task="rock glacier",
    inputs=("red", "green", "blue"),
    network=functools.partial(Smp, terms={"zones": 1}, architecture="DeepLabV3Plus", encoder="tu-xception71"),
    finish=recipes.two_zones,
    zones=ROCK_GLACIER,
    loss=BCE,
    recipe=Recipe(
        patch=512,
        batch=8,
        epochs=100,
        optimiser=functools.partial(SGD, lr=0.007, momentum=0.9),
        schedule=recipes.polynomial,
        symmetries=tuple(range(8)),
    ),
    departs=f"patch, loss and optimiser are DeepLab's, {OURS}; its decoder is smp's; the encoder starts from random"
    " weights unless a run asks for pretrained ones",
    reference_parameters=43_459_289,
)

ROWS = (
    System(
        name="robson2020",
        citation="Robson et al. 2020, doi:10.1016/j.rse.2020.112033",
        task="rock glacier",
        inputs=(
            *("red", "green", "blue", "nir", "swir16", "ndvi", "mndwi", "savi"),
            *("coherence", "elevation", "curvature"),
        ),
        network=HeatMap,
        finish=recipes.two_zones,
        zones=ROCK_GLACIER,
        loss=BCE,
        recipe=Recipe(
            patch=128,
            batch=16,
            epochs=50,
            optimiser=functools.partial(Adam, lr=1e-3),
            symmetries=tuple(range(8)),
        ),
        clean=(
            (objects.mean_heat, {"image": ("green", "red", "nir", "coherence", "curvature")}),
            (clean.specks, {"min_area": 10_000.0, "names": ("rock glacier",)}),
            (clean.enclosed, {"names": ("rock glacier",), "max_area": 10_000.0}),
        ),
        departs="layer sizes, the kind of curvature, the rules on objects, patch, loss, optimiser,"
        f" {OURS}; superpixels stand in for eCognition's segments",
        reference_parameters=243_969,
        scores="user's accuracy 63.9 to 68.9 %, producer's 75.0 to 75.4 %; 108 of 120 mapped",
    ),
    _deeplab(
        name="hu2023",
        citation="Hu et al. 2023: rock glaciers of the western Kunlun, by the review of Diaconu et al.",
        scores="IoU 0.801; of 337 polygons 165 known, 123 new, 49 false",
    ),
    _deeplab(
        name="sun2024",
        citation="Sun et al. 2024, TPRoGI, Earth System Science Data 16, 5703",
        scores="by polygon: precision 55 %, recall 73 %, F1 63 %",
    ),
)
"""In the order that tables show them."""
