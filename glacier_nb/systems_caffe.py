"""Systems of the CaFFe benchmark (Gourmelon et al. 2022, doi:10.5194/essd-14-4287-2022), one row each.

One SAR amplitude, three zones and what is not available. CaFFe's sensors send HH or VV: the rows take VV.
"""

import functools
from collections.abc import Sequence

from torch import Tensor
from torch.optim import SGD, Adam, AdamW

from glacier_nb import augment, losses, losses_front, recipes, tracing
from glacier_nb.networks import caffe, hooknet, later
from glacier_nb.recipes import Recipe, System

ZONES = ("rock", "glacier", "ocean")
TURNED = tuple(range(8))
WATER_EDGE = (tracing.water_edge, {"min_length": 750.0})
_EDGE = "; within a quarter of a window of the scene's edge the context's scores stand in for the target's"
_UNAVAILABLE = "the score of what is not available is left out of the zones, whose softmax is taken"


def available_zones(zones: Tensor) -> dict[str, Tensor]:
    """Scores that begin with one for "not available" as probabilities of the other zones, where it is available."""
    return {"zones": zones[:, 1:].softmax(dim=1)}


def front_from_edge(edge: Tensor) -> dict[str, Tensor]:
    """The score of a front as its probability."""
    return {"front": edge.sigmoid()}


def exponential(done: float, losses: Sequence[float], epochs: int, factor: float) -> float:
    """A learning rate multiplied by `factor` with each of `epochs`."""
    return factor ** int(done * epochs)


def triangle(done: float, losses: Sequence[float], low: float, cycles: float) -> float:
    """A learning rate that rises evenly from `low` to 1 and falls again, `cycles` times.

    >>> [round(triangle(done, (), 0.2, 2), 3) for done in (0.0, 0.125, 0.25, 0.5, 1.0)]
    [0.2, 0.6, 1.0, 0.2, 0.2]
    """
    place = done * cycles % 1
    return low + (1 - low) * (1 - abs(2 * place - 1))


def shortened(done: float, losses: Sequence[float], share: float, power: float) -> float:
    """A polynomial fall of which only the first `share` is run."""
    return recipes.polynomial(done * share, losses, power)


def _gourmelon(rate: float, mirrored: float, turned: float, toned: float, warped: float, noisy: float) -> Recipe:
    """What both networks of Gourmelon et al. 2022 learn by, but for the rate and the chance of each change to a cut."""
    return Recipe(
        patch=256,
        batch=16,
        epochs=150,
        optimiser=functools.partial(Adam, lr=rate),
        schedule=functools.partial(triangle, low=0.2, cycles=1),
        validations=150,
        patience=30,
        clip=1.0,
        augment=(
            (augment.mirrored, mirrored, {"axes": ("y", "x")}),
            (augment.turned, turned, {}),
            (augment.toned, toned, {}),
            (augment.warped, warped, {}),
            (augment.noisy, noisy, {}),
        ),
    )


_CYCLIC = "one cycle of the learning rate in all, as the number of steps an epoch was not counted"
_BLENDED = "windows overlap and blend, where the paper takes one every 128 pixels with Gaussian weights"
_STRENGTH = "which way cuts are flipped and turned, and how strong brightness, warping and noise are, was not read"
_HOOKED = functools.partial(
    System,
    task="front",
    inputs=("vv_grey",),
    finish=available_zones,
    zones=ZONES,
    trace=WATER_EDGE,
    mean=(0.0,),
    std=(1.0,),
)

ROWS = (
    System(
        name="caffe_zones",
        citation="Gourmelon et al. 2022, doi:10.5194/essd-14-4287-2022",
        task="front",
        inputs=("vv_grey",),
        network=caffe.zones,
        finish=available_zones,
        zones=ZONES,
        loss=((losses_front.with_unavailable, 1.0, {}),),
        recipe=_gourmelon(2e-4, mirrored=0.3, turned=0.5, toned=0.1, warped=0.1, noisy=0.5),
        trace=WATER_EDGE,
        departs=f"{_CYCLIC}; {_STRENGTH}; {_UNAVAILABLE}; {_BLENDED}",
        mean=(0.3047126829624176,),
        std=(0.32187142968177795,),
        reference_parameters=19_307_012,
        scores="mean distance error 753 +- 76 m",
    ),
    System(
        name="caffe_fronts",
        citation="Gourmelon et al. 2022, doi:10.5194/essd-14-4287-2022",
        task="front",
        inputs=("vv_grey",),
        network=caffe.fronts,
        finish=front_from_edge,
        loss=((losses_front.near_front, 1.0, {"wide": 5, "beyond": 0.1}),),
        recipe=_gourmelon(5e-4, mirrored=0.65, turned=0.65, toned=0.65, warped=0.65, noisy=0.65),
        trace=(tracing.ridge, {"threshold": 0.12, "min_length": 750.0, "least": 5}),
        departs=f"{_CYCLIC}; {_STRENGTH}; {_BLENDED}",
        mean=(0.3047126829624176,),
        std=(0.32187142968177795,),
        reference_parameters=19_306_913,
    ),
    System(
        name="periyasamy2022",
        citation="Periyasamy et al. 2022, IEEE JSTARS 15:1712",
        task="front",
        inputs=("vv_clahe",),
        network=functools.partial(caffe.CaffeUNet, scores=1, dropout=0.2),
        finish=recipes.two_zones,
        zones=("glacier", "ocean"),
        loss=((losses.binary_cross_entropy, 1.0, {}), (losses.dice, 1.0, {})),
        recipe=Recipe(patch=256, batch=16, epochs=150, optimiser=functools.partial(Adam, lr=2e-4), symmetries=TURNED),
        departs="the final settings of the six that were tuned are not published: CaFFe's U-Net, batch norm and"
        " training are plain choices",
        mean=(0.0,),
        std=(1.0,),
        scores="Dice 0.9378 at Sjogren Inlet and Dinsmoor-Bombardier-Edgeworth",
    ),
    _HOOKED(
        name="amd_hooknet",
        citation="Wu et al. 2023, doi:10.1109/TGRS.2023.3245419",
        network=hooknet.AmdHookNet,
        loss=((losses_front.hooked, 1.0, {"each": 1.0, "deeper": 0.5}),),
        recipe=Recipe(
            patch=576,
            batch=30,
            epochs=300,
            optimiser=functools.partial(AdamW, lr=1e-3),
            schedule=functools.partial(exponential, epochs=300, factor=0.99),
            augment=((augment.mirrored, 0.5, {"axes": ("y", "x")}), (augment.turned, 0.5, {})),
        ),
        departs="deep labels are the nearest pixel's, not averages of zone numbers; which way cuts are flipped and"
        f" turned was not read; {_UNAVAILABLE}{_EDGE}",
        reference_parameters=14_885_847,
        window=576,
        scores="mean distance error 438 m",
    ),
    _HOOKED(
        name="hookformer",
        citation="Wu et al. 2024, doi:10.1109/TGRS.2024.3368215",
        network=later("hookformer.HookFormer"),
        loss=((losses_front.hooked, 1.0, {"each": 0.5, "deeper": 0.25}),),
        recipe=Recipe(
            patch=448,
            batch=110,
            epochs=150,
            optimiser=functools.partial(SGD, lr=0.01, momentum=0.9, weight_decay=1e-4),
            schedule=recipes.polynomial,
        ),
        departs=f"starts from random weights, not from ImageNet's Swin-T; augmentation was not read: none;"
        f" {_UNAVAILABLE}{_EDGE}",
        reference_parameters=59_264_692,
        window=448,
        scores="mean distance error 353 m",
    ),
    _HOOKED(
        name="amd_hooknet_pp",
        citation="Wu et al. 2025, arXiv:2512.14639",
        network=later("hooknet_pp.HookNetPlus"),
        loss=((losses_front.hooked, 1.0, {"each": 1.0}), (losses_front.contrast, 0.5, {})),
        recipe=Recipe(
            patch=448,
            batch=170,
            epochs=130,
            optimiser=functools.partial(SGD, lr=0.01, momentum=0.9, weight_decay=1e-4),
            schedule=functools.partial(shortened, share=130 / 150, power=0.9),
        ),
        departs="starts from random weights, not from ImageNet's Swin-T; augmentation was not read: none; labels of the"
        " contrast are the nearest pixel's, not averages of zone numbers; it draws eight pixels of every zone of every"
        f" image, without their most of 1024 in all; {_UNAVAILABLE}{_EDGE}",
        reference_parameters=49_043_454,
        window=448,
        scores="mean distance error 367 m, IoU 78.2 %, 95 % Hausdorff distance 1318 m",
    ),
)
"""In the order that tables show them."""
