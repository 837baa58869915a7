"""The literature, one row each: inputs, network, loss, recipe and cleaning of a published system, under one name."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from glacier_nb import clean, features, losses, networks
from glacier_nb.clean import Steps
from glacier_nb.networks.smp import Smp
from glacier_nb.networks.threshold import BandRatio, Threshold
from glacier_nb.networks.unet import UNet

WATER = ("ocean", "melange")
"""The zones in which a calving front ends a glacier."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a system is trained, as published.

    patch: side of a training cut in pixels. batch: cuts per step. epochs: times the training area is gone through.
    optimiser: takes the parameters. schedule: factor on the learning rate from the share of the training done and
    the validation losses so far (None: constant). symmetries: which of `networks.symmetry` are drawn from.
    """

    patch: int = 256
    batch: int = 16
    epochs: float = 50
    optimiser: Callable[..., torch.optim.Optimizer] = Adam
    schedule: Callable[[float, Sequence[float]], float] | None = None
    symmetries: tuple[int, ...] = (0,)


@dataclasses.dataclass(frozen=True)
class System:
    """One published system.

    inputs: names in `features.FEATURES`, in channel order; those in `optional` may be missing (the network learnt to
    do without). network: builds the torch module from the channel count. zones: what the scores of its zones term
    mean. finish: its raw terms, by argument name, to probabilities. loss, clean: steps in order. mean, std:
    normalisation of each input where the system fixes it, else it comes with the weights. departs: where the row
    differs from the paper; empty where it does not. reference_parameters: trainable, counted in the reference.
    """

    name: str
    citation: str
    task: str
    inputs: tuple[str, ...]
    network: Callable[[int], nn.Module]
    finish: Callable[..., dict[str, Tensor]]
    zones: tuple[str, ...] = ()
    loss: losses.Parts = ()
    recipe: Recipe | None = None
    clean: Steps = ()
    departs: str = ""
    optional: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    reference_parameters: int | None = None


def two_zones(zones: Tensor) -> dict[str, Tensor]:
    """One score (batch, 1, y, x) as the probabilities of what is not, and what is, mapped (batch, 2, y, x)."""
    chance = zones.sigmoid()
    return {"zones": torch.cat([1 - chance, chance], dim=1)}


def exclusive_zones(zones: Tensor) -> dict[str, Tensor]:
    """Scores of zones that exclude each other as probabilities that sum to one."""
    return {"zones": zones.softmax(dim=1)}


def front_from_background(background: Tensor) -> dict[str, Tensor]:
    """The score of "not the front" as the probability of the front."""
    return {"front": (-background).sigmoid()}


def finish(system: System, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Probabilities from a network's raw terms; what is missing is derived, so that all systems are scored alike.

    A front is derived from zones that hold ice and water: where a pixel may be ice and one of its neighbours water.
    """
    asked = inspect.signature(system.finish).parameters
    known = system.finish(**{name: scores for name, scores in terms.items() if name in asked})
    if "front" not in known and set(system.zones) & set(clean.ICE) and set(system.zones) & set(WATER):
        ice, water = (
            sum(known["zones"][:, k : k + 1] for k, zone in enumerate(system.zones) if zone in names)
            for names in (clean.ICE, WATER)
        )
        known["front"] = torch.minimum(ice, nn.functional.max_pool2d(water, 3, stride=1, padding=1))
    return known


def find(name: str | System) -> System:
    """The row of `SYSTEMS` called `name`; LookupError names all of them.

    >>> find("diaconu2023").inputs
    ('red', 'green', 'blue', 'nir', 'swir22', 'elevation')
    """
    if isinstance(name, System):
        return name
    found = {row.name: row for row in SYSTEMS}
    if name not in found:
        raise LookupError(f"no system called {name!r}: one of {', '.join(found)}")
    return found[name]


def shows_ground(system: System) -> list[bool]:
    """For each input, whether it tells that the ground was seen: not optional, and not terrain, which is always there.

    >>> shows_ground(find("diaconu2023"))
    [True, True, True, True, True, False]
    """
    known = {row.name for row in features.FEATURES}
    terrain = [name in known and set(features.needs([name])) <= {"elevation", "dh_dt"} for name in system.inputs]
    found = [not (hill or name in system.optional) for hill, name in zip(terrain, system.inputs, strict=True)]
    return found if any(found) else [True] * len(found)


def card(system: System) -> dict:
    """What a reader wants to know of a system before running it; `parameters` are counted on the network itself."""
    return {
        "name": system.name,
        "task": system.task,
        "citation": system.citation,
        "inputs": list(system.inputs),
        "outputs": list(system.zones) or ["front"],
        "parameters": networks.parameters(system.network(len(system.inputs))),
        "reference_parameters": system.reference_parameters,
        "patch": system.recipe.patch if system.recipe else None,
        "loss": " + ".join(loss.__name__ for loss, _, _ in system.loss),
        "clean": " ".join(step.__name__ for step, _ in system.clean),
        "departs": system.departs,
    }


def _drops(done: float, losses: Sequence[float], at: tuple[float, ...], factor: float) -> float:
    """A learning rate multiplied by `factor` at each share of the training in `at`."""
    return factor ** sum(done >= share for share in at)


def _plateau(done: float, losses: Sequence[float], patience: int, factor: float) -> float:
    """A learning rate multiplied by `factor` whenever `patience` validations in a row brought nothing better."""
    best, since, power = float("inf"), 0, 0
    for loss in losses:
        best, since = (loss, 0) if loss < best else (best, since + 1)
        power, since = (power + 1, 0) if since >= patience else (power, since)
    return factor**power


def _one_cycle(done: float, losses: Sequence[float], warm: float = 0.1) -> float:
    """A learning rate that rises over the first `warm` share of the training and falls to nothing over the rest."""
    return done / warm if done < warm else (1 - (done - warm) / (1 - warm)) ** 1.5 + 1e-3


_GLACIER = ("rock", "glacier")
_TIDY = ((clean.specks, {"min_area": 10_000.0}),)

SYSTEMS = (
    System(
        name="band-ratio",
        citation="Paul et al. 2013, doi:10.3189/2013AoG63A296; threshold: Diaconu et al., review chapter, figure 1",
        task="extent",
        inputs=("red", "swir16"),
        network=functools.partial(BandRatio, value=2.8),
        finish=two_zones,
        zones=_GLACIER,
        clean=((clean.median, {"size": 3}), *_TIDY),
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
        finish=two_zones,
        zones=_GLACIER,
        clean=((clean.median, {"size": 3}), *_TIDY),
        departs="snow, water and clouds that pass 0.4 are kept: the plain baseline",
        mean=(0.0,),
        std=(1.0,),
        reference_parameters=0,
    ),
    System(
        name="diaconu2023",
        citation="Diaconu et al. 2023, workshop Tackling Climate Change with Machine Learning at NeurIPS",
        task="change",
        inputs=("red", "green", "blue", "nir", "swir22", "elevation"),  # B4, B3, B2, B8, B12, NASADEM
        network=functools.partial(Smp, terms={"zones": 1}, encoder="resnet34", decoder_use_norm=False),
        finish=two_zones,
        zones=_GLACIER,
        loss=((losses.binary_cross_entropy, 1.0, {}),),
        recipe=Recipe(
            patch=256,
            batch=16,
            epochs=50,
            optimiser=functools.partial(SGD, lr=0.01, momentum=0.95, nesterov=True),
            schedule=functools.partial(_drops, at=(10 / 50, 25 / 50), factor=0.1),
        ),
        departs="patches drawn anywhere, not on a grid around glaciers; the encoder starts from random weights"
        " unless a run asks for ImageNet's; best by validation loss, not by IoU per glacier",
        reference_parameters=24_444_785,
    ),
    System(
        name="mohajerani2019",
        citation="Mohajerani et al. 2019, doi:10.3390/rs11010074",
        task="front",
        inputs=("grey",),
        network=functools.partial(UNet, terms={"background": 1}, widths=(32, 64, 128, 256), dropout=0.2, neck=3),
        finish=front_from_background,
        loss=((losses.background_cross_entropy, 1.0, {"front_weight": 241.15}),),
        recipe=Recipe(
            patch=152,
            batch=10,
            epochs=100,
            optimiser=functools.partial(Adam, lr=1e-3),
            schedule=functools.partial(_plateau, patience=5, factor=0.5),
        ),
        departs="the released definition has four levels; the published weights hold two and bring their own network",
        mean=(0.0,),
        std=(1.0,),
        reference_parameters=1_947_143,
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
        finish=exclusive_zones,
        zones=("rock", "glacier", "debris cover", "ocean", "melange", "lake"),
        loss=((losses.cross_entropy, 1.0, {}), (losses.dice, 0.5, {})),
        recipe=Recipe(
            patch=128,
            batch=16,
            epochs=4,
            optimiser=functools.partial(AdamW, lr=3e-3, weight_decay=1e-3),
            schedule=_one_cycle,
            symmetries=tuple(range(8)),
        ),
        clean=(
            (clean.specks, {"min_area": 100_000.0, "names": ("melange",)}),
            (clean.specks, {"min_area": 500_000.0, "names": ("ocean", "melange")}),  # a fjord is larger
            *_TIDY,
            (clean.holes, {"max_area": 10_000.0}),
        ),
        optional=("dh_dt", "vv_db", "vh_db"),
    ),
)
"""Every system, in the order that tables show them."""
