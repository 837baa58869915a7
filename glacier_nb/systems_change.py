"""Systems that were published to follow glacier extent through the years, one row each."""

import functools

from torch.optim import SGD, Adam

from glacier_nb import losses, recipes
from glacier_nb.networks.smp import Smp
from glacier_nb.networks.unet import UNet
from glacier_nb.recipes import Recipe, System

GLACIER = ("rock", "glacier")
EIGHT = tuple(range(8))
OURS = "batch, length of training and augmentation are plain choices"
RANDOM = "the encoder starts from random weights unless a run asks for ImageNet's"
_resnet = functools.partial(Smp, terms={"zones": 1}, encoder="resnet34", decoder_use_norm=False)

ROWS = (
    System(
        name="glaciercovernet",
        citation="Roberts-Pierel et al. 2022, Remote Sensing 14, 4582",
        task="change",
        inputs=(
            *("ndsi", "ndvi", "nbr", "brightness", "wetness"),
            *("elevation", "curvature", "northness", "southness"),
        ),
        network=functools.partial(
            Smp,
            terms={"zones": 3},
            architecture="PSPNet",
            encoder="tu-resnest101e",
            encoder_depth=5,
            output_stride=8,
            upsampling=8,
        ),
        finish=recipes.exclusive_zones,
        zones=("rock", "glacier", "debris cover"),
        loss=((losses.cross_entropy, 1.0, {"balanced": True}),),
        recipe=Recipe(patch=256, batch=8, epochs=100, optimiser=functools.partial(Adam, lr=1e-4), symmetries=EIGHT),
        summers=2,
        departs="no code: the layers' settings, tasseled cap coefficients, the kind of curvature, by what a composite"
        f" picks a pixel of its two summers (here the least snow), patch, loss, optimiser, {OURS}; {RANDOM}",
        reference_parameters=52_539_363,
        scores="97 % of the RGI's area matched",
    ),
    System(
        name="rajat2022",
        citation="Rajat et al. 2022: a U-Net on Himachal Pradesh, by the review of Diaconu et al.",
        task="change",
        inputs=("ndsi", "nir", "swir16", "elevation"),
        network=functools.partial(UNet, terms={"zones": 1}, norm=True, up="transposed"),
        finish=recipes.two_zones,
        zones=GLACIER,
        loss=((losses.binary_cross_entropy, 1.0, {}), (losses.foreground_dice, 1.0, {})),
        recipe=Recipe(patch=256, batch=8, epochs=100, optimiser=functools.partial(Adam, lr=1e-4), symmetries=EIGHT),
        departs=f"no code: which four bands, widths, patch, loss, optimiser, {OURS}",
        reference_parameters=31_044_097,
    ),
    System(
        name="diaconu2023",
        citation="Diaconu et al. 2023, workshop Tackling Climate Change with Machine Learning at NeurIPS",
        task="change",
        inputs=("red", "green", "blue", "nir", "swir22", "elevation"),  # B4, B3, B2, B8, B12, NASADEM
        network=_resnet,
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
        " unless a run asks for ImageNet's; best by validation loss, not by IoU per glacier; windows overlap and blend,"
        " where the paper takes the mean of one every 64 pixels",
        reference_parameters=24_444_785,
        scores="-1.8 % of area a year over about 1300 glaciers of the Alps",
    ),
    System(
        name="dl4gam",
        citation="Diaconu et al., DL4GAM, code dcodrut/dl4gam_alps",
        task="change",
        inputs=(
            *("red", "green", "blue", "nir", "swir16", "ndvi", "ndwi", "ndsi", "elevation"),
            *("slope_smoothed", "sin_aspect_smoothed", "cos_aspect_smoothed"),
            *("planform_curvature_smoothed", "profile_curvature_smoothed", "ruggedness_smoothed", "dh_dt"),
        ),
        network=_resnet,
        finish=recipes.two_zones,
        zones=GLACIER,
        loss=((losses.focal, 1.0, {"gamma": 2.0, "alpha": 0.25}),),
        recipe=Recipe(patch=256, batch=16, epochs=30, optimiser=functools.partial(Adam, lr=1e-4)),
        departs=f"patches drawn anywhere, not on a grid around glaciers; every input z-scored; {RANDOM}; best by"
        " validation loss; windows overlap and blend, where the paper takes one every 32 pixels",
        reference_parameters=24_476_145,
        scores="-1.90 % of area a year (+-1.26) over about 900 glaciers of the Alps",
    ),
)
"""In the order that tables show them."""
