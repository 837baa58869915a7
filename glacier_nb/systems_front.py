"""Systems that trace calving fronts, one row each; those of the CaFFe benchmark stand in `systems_caffe`.

Where a paper parts land and ice from water in one step, its class of land and ice is our glacier.
"""

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import SGD, Adam

from glacier_nb import augment, clean, contours, losses, losses_front, recipes, tracing
from glacier_nb.networks import calfin, cobra, drn, hed_unet, loebel
from glacier_nb.networks.unet import UNet
from glacier_nb.recipes import Recipe, System

SHORE = ("glacier", "ocean")
TURNED = tuple(range(8))
_GREY = "grey is the mean of green and red, not Landsat 5's green or Landsat 7's and 8's panchromatic band"
_WHOLE = "squares of 152 pixels, not scenes cropped to 152 x 240; without the flow turned upwards"
_SCENE = "minimum and maximum by the scene's histogram, not each patch's own; least validation loss kept, not most IoU"
_SIDE = "which side the published score stands for was not read: here it is the ocean's"


def ice_and_edge(zones: Tensor, edge: Tensor) -> dict[str, Tensor]:
    """The score of the first of two zones, and that of its edge, as probabilities."""
    chance = zones.sigmoid()
    return {"zones": torch.cat([chance, 1 - chance], dim=1), "front": edge.sigmoid()}


def line_and_sides(vertices: Tensor, size: Tensor) -> dict[str, Tensor]:
    """A contour as maps: a front that halves a pixel off its line and is gone three off, ice on the line's left.

    >>> found = line_and_sides(torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]]), torch.tensor([2, 5]))
    >>> [round(chance, 2) for chance in found["front"][0, 0, 0].tolist()]
    [0.06, 0.5, 1.0, 0.5, 0.06]
    """
    away, side = (values[:, None] for values in contours.distances(vertices, tuple(int(n) for n in size)))
    ice = (away * side).sigmoid()
    return {"zones": torch.cat([ice, 1 - ice], dim=1), "front": 0.5 ** away.square()}


def warm_cosine(done: float, losses: Sequence[float], warm: float, start: float, floor: float) -> float:
    """A learning rate that rises from `start` to 1 over the first `warm` share, then falls as a cosine to `floor`.

    >>> [round(warm_cosine(done, (), 0.1, 0.5, 0.2), 3) for done in (0.0, 0.05, 0.1, 0.55, 1.0)]
    [0.5, 0.75, 1.0, 0.6, 0.2]
    """
    if done < warm:
        return start + (1 - start) * done / warm
    return floor + (1 - floor) * (1 + math.cos(math.pi * (done - warm) / (1 - warm))) / 2


_MOHAJERANI = functools.partial(
    System,
    citation="Mohajerani et al. 2019, doi:10.3390/rs11010074",
    task="front",
    inputs=("grey",),
    finish=recipes.front_from_background,
    trace=(tracing.minimum_cost, {"points": 1000, "every": 50}),
    loss=((losses.background_cross_entropy, 1.0, {"front_weight": 241.15}),),
    recipe=Recipe(
        patch=152,
        batch=10,
        epochs=100,
        optimiser=functools.partial(Adam, lr=1e-3),
        schedule=functools.partial(recipes.plateau, patience=5, factor=0.5),
        validations=100,
    ),
    mean=(0.0,),
    std=(1.0,),
)
_DEEPLAB = functools.partial(
    System,
    task="front",
    inputs=("nir_normalised",),
    finish=recipes.two_zones,
    zones=SHORE,
    loss=((losses.binary_cross_entropy, 1.0, {}),),
    trace=(tracing.boundary, {"threshold": 0.5, "min_pixels": 500}),
    recipe=Recipe(
        patch=832,
        batch=8,
        epochs=30,
        optimiser=functools.partial(SGD, lr=0.005, momentum=0.9, weight_decay=5e-4),
        schedule=recipes.polynomial,
        validations=30,
        patience=4,
    ),
    mean=(0.0,),
    std=(1.0,),
    reference_parameters=40_730_353,
)

ROWS = (
    System(
        name="baumhoer2019",
        citation="Baumhoer et al. 2019, doi:10.3390/rs11212529",
        task="front",
        inputs=("hh_db", "hv_db", "hh_hv_db", "elevation"),
        network=functools.partial(
            UNet, terms={"zones": 1}, widths=(32, 64, 128, 256, 512), up="transposed", dropout=0.5
        ),
        finish=recipes.two_zones,
        zones=SHORE,
        loss=((losses.binary_cross_entropy, 1.0, {}),),
        recipe=Recipe(patch=512, batch=8, epochs=50, optimiser=functools.partial(Adam, lr=1e-4), symmetries=TURNED),
        clean=((clean.largest, {}), (clean.enclosed, {"names": ("glacier",), "max_area": 1e6})),
        trace=(tracing.coastline, {"max_hole": 1e6, "tolerance": 1.0}),
        departs="tile, dropout, loss and training are not published: plain choices; the ratio of the powers is taken"
        " in dB; any DEM for TanDEM-X's; what hole is small and how far the line is simplified are plain choices",
        reference_parameters=7_760_385,
        scores="78 m from manual fronts in training areas, 108 m in test areas",
    ),
    _MOHAJERANI(
        name="mohajerani2019",
        network=functools.partial(UNet, terms={"background": 1}, widths=(32, 64), dropout=0.2, neck=3),
        departs=f"as the published weights have it: two levels, though their files are named after four or five;"
        f" {_GREY}; {_WHOLE}",
        reference_parameters=102_791,
        scores="mean deviation 96.3 m (1.97 pixels) at Helheim",
    ),
    _MOHAJERANI(
        name="mohajerani2019_four_levels",
        network=functools.partial(UNet, terms={"background": 1}, widths=(32, 64, 128, 256), dropout=0.2, neck=3),
        departs=f"as the released definition has it; the published weights have two levels (mohajerani2019); {_GREY};"
        f" {_WHOLE}",
        reference_parameters=1_947_143,
    ),
    System(
        name="zhang2019",
        citation="Zhang et al. 2019, doi:10.5194/tc-13-1729-2019",
        task="front",
        inputs=("hh_normalised",),
        network=functools.partial(UNet, terms={"zones": 1}, norm=True, up="transposed"),
        finish=recipes.two_zones,
        zones=SHORE,
        loss=((losses.binary_cross_entropy, 1.0, {}),),
        recipe=Recipe(patch=512, batch=4, epochs=50, optimiser=functools.partial(Adam, lr=1e-4), symmetries=TURNED),
        trace=(tracing.boundary, {"threshold": 0.5, "min_pixels": 500}),
        departs="sizes, loss and training are not published: plain choices; any HH amplitude for TerraSAR-X's",
        mean=(0.0,),
        std=(1.0,),
        reference_parameters=31_042_369,
    ),
    System(
        name="calfin",
        citation="Cheng et al. 2021, doi:10.5194/tc-15-1663-2021",
        task="front",
        inputs=("calfin_stretched", "calfin_equalised", "calfin_toned"),
        network=calfin.Calfin,
        finish=ice_and_edge,
        zones=SHORE,
        loss=((losses_front.edge_and_ice, 1.0, {}),),
        recipe=Recipe(
            patch=224,
            batch=1,
            epochs=80,
            optimiser=functools.partial(Adam, lr=1e-4),
            symmetries=TURNED,
            accumulate=4,
            augment=(
                (augment.rotated, 0.5, {"by": (-12, -6, 6, 12)}),
                (augment.sharpened, 0.2, {}),
                (augment.noisy, 0.2, {}),
            ),
        ),
        trace=(tracing.spanning_tree, {"threshold": 0.33}),
        departs="contrast operators, how often it turns and how much it sharpens were not read: plain choices; all"
        " eight symmetries evenly, no random crop; an epoch goes once through the area, theirs is 8000 steps; without"
        " the L1 and L2 of 1e-6; batch not read; any window for the nine of 224 pixels; no second look at candidate"
        " boxes; no front is dropped for a triangular shape, its confidence, its ratio of mask to edge or a neighbour"
        " within 64 pixels, none is ranked (2.0 confidence, 2.5 length, 1.5 distance)",
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
        reference_parameters=29_316_387,
        scores="86.76 +- 1.43 m, mean of nearest distances both ways",
    ),
    _DEEPLAB(
        name="zhang2021",
        citation="Zhang et al. 2021, doi:10.5194/tc-15-1827-2021",
        network=drn.zhang2021,
        departs=f"square patches for 960 x 720; one learning rate, not ten times as much in the head; {_SIDE};"
        f" NIR for whichever band or polarisation an image has; uniform patches are not thinned; {_SCENE}; windows"
        " overlap and blend, where the paper takes one every 192 x 144 pixels",
    ),
    _DEEPLAB(
        name="autoterm",
        citation="Zhang et al. 2023, doi:10.5194/tc-17-3485-2023",
        network=drn.autoterm,
        passes=3,
        departs="training as in zhang2021, which it builds on; square patches for 960 x 720; one learning rate, not"
        f" ten times as much in the head; {_SIDE}; NIR for whichever band or polarisation an image has; {_SCENE};"
        " dropout stays on in prediction where passes are asked for",
    ),
    System(
        name="hed_unet_hh_hv",
        citation="Heidler et al. 2022, doi:10.1109/TGRS.2021.3064606",
        task="front",
        inputs=("hh_grey", "hv_grey"),
        network=hed_unet.HedUNet,
        finish=ice_and_edge,
        zones=SHORE,
        loss=((losses_front.ice_and_edge_at_every_scale, 1.0, {}),),
        recipe=Recipe(patch=256, batch=8, epochs=100, optimiser=functools.partial(Adam, lr=1e-3), symmetries=TURNED),
        departs="stack and tile of the glacier setup are not published: HH and HV, 256 pixels; metrics take the edge"
        " second, where training has it",
        mean=(127 / 255,) * 2,  # x / 127 - 1 of whole numbers up to 255
        std=(127 / 255,) * 2,
        reference_parameters=8_130_568,
    ),
    System(
        name="loebel2022",
        citation="Loebel et al. 2022, doi:10.1109/TGRS.2022.3208454",
        task="front",
        inputs=tuple(
            f"{band}_stretched"
            for band in ("coastal", "blue", "green", "red", "nir", "swir16", "swir22", "lwir11", "lwir12")
        ),
        network=loebel.Loebel,
        finish=recipes.two_zones,
        zones=SHORE,
        loss=((losses.binary_cross_entropy, 1.0, {}),),
        recipe=Recipe(patch=512, batch=4, epochs=100, optimiser=functools.partial(Adam, lr=1e-3), symmetries=TURNED),
        trace=(tracing.contour, {"level": 0.5, "most": 1}),
        departs=f"batch, epochs and augmentation are not in the released script: plain choices; {_SIDE}",
        mean=(0.0,) * 9,
        std=(1.0,) * 9,  # the network divides by 255
        reference_parameters=124_426_849,
    ),
    System(
        name="cobra",
        citation="Heidler et al. 2023, arXiv:2307.03461",
        task="front",
        inputs=("calfin_stretched",),
        network=cobra.Cobra,
        finish=line_and_sides,
        zones=SHORE,
        loss=((losses_front.line, 1.0, {"gamma": 0.001}),),
        recipe=Recipe(
            patch=256,
            batch=16,
            epochs=500,
            optimiser=functools.partial(Adam, lr=1e-3, betas=(0.5, 0.99)),
            schedule=functools.partial(warm_cosine, warm=10 / 500, start=1e-4, floor=0.04),
            symmetries=TURNED,
            augment=((augment.rotated, 1.0, {"most": 15.0}),),
        ),
        trace=(tracing.vertices, {"threshold": 0.5}),
        departs="which of CALFIN's channels was not read: the first; patches are not chosen"
        " for one front each; ten Monte-Carlo passes drop half of the features, as in training, not a"
        " fifth, and only where asked for; the maps are drawn from the vertices, and a window without a front shows one"
        " all the same",
        mean=(0.0,),
        std=(1.0,),
        reference_parameters=52_770_464,
        window=256,
    ),
)
"""In the order that tables show them."""
