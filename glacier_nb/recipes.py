"""What a row of `systems` is made of: the row itself, how it is trained, and how raw scores become probabilities.

Without a source, plain or ours: `two_zones`, `exclusive_zones`.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Adam

from glacier_nb import augment as augmentation
from glacier_nb import losses, vectorize
from glacier_nb.clean import Steps

ZONES = (*vectorize.ZONES, "snow", "vegetation", "shadow")
"""Every zone a system may tell apart, in the order that its row names them; the last three are in no map of ours."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a system is trained, as published.

    patch: side of a training cut in pixels. batch: cuts per step. epochs: times the training area is gone through.
    optimiser: takes the parameters. schedule: factor on the learning rate from the share of the training done and
    the validation losses so far (None: constant). symmetries: which of `networks.symmetry` are drawn from. clip: most
    that the norm of all gradients may be. accumulate: batches whose gradients make one step. augment: what a cut is put
    through after that, steps of `augment` with their probability. validations: how often it is validated, as many times
    as it has epochs where the paper counts its patience in them. patience: validations in a row that may bring nothing
    better before it stops (None: it goes on to the end).
    """

    patch: int = 256
    batch: int = 16
    epochs: float = 50
    optimiser: Callable[..., torch.optim.Optimizer] = Adam
    schedule: Callable[[float, Sequence[float]], float] | None = None
    symmetries: tuple[int, ...] = (0,)
    clip: float | None = None
    accumulate: int = 1
    augment: augmentation.Steps = ()
    validations: int = 20
    patience: int | None = None


@dataclasses.dataclass(frozen=True)
class System:
    """One published system.

    inputs: names in `features.FEATURES`, in channel order; those in `optional` may be missing (the network learnt to
    do without). network: builds the torch module from the channel count. zones: what the scores of its zones term
    mean. finish: its raw terms, by argument name, to probabilities. loss, clean: steps in order. trace: how its
    fronts become lines, with options, where the paper says it. mean, std: normalisation of each input where the system
    fixes it, else it comes with the weights. departs: where the row differs from the paper; empty where it does not.
    reference_parameters: trainable, counted in the reference. window: pixels, where the network takes no other size.
    views: which of `networks.symmetry` a prediction is the mean of. scores: as published, on the paper's data.
    reads: names in `features.FEATURES` that the cleaning reads beside the inputs. opinions: terms of `finish` with one
    score each, maps of the network's members, that the cleaning reads as layers of these names.
    passes: Monte-Carlo passes with dropout on that the paper takes the mean and spread of. summers: late summers that
    one scene of the paper is composed of (`span` of `summers.items` and `summers.scenes`).
    series: whether its network takes several dates at once, (batch, time * channel, y, x) and their days, and gives
    terms of (batch * time, score, y, x).
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
    trace: tuple[Callable, Mapping] | None = None
    departs: str = ""
    optional: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    reference_parameters: int | None = None
    window: int | None = None
    reads: tuple[str, ...] = ()
    opinions: tuple[str, ...] = ()
    views: tuple[int, ...] = (0,)
    passes: int = 1
    summers: int = 1
    scores: str = ""
    series: bool = False


def two_zones(zones: Tensor) -> dict[str, Tensor]:
    """One score (batch, 1, y, x) as the probabilities of what is not, and what is, mapped (batch, 2, y, x)."""
    chance = zones.sigmoid()
    return {"zones": torch.cat([1 - chance, chance], dim=1)}


def exclusive_zones(zones: Tensor) -> dict[str, Tensor]:
    """Scores of zones that exclude each other as probabilities that sum to one."""
    return {"zones": zones.softmax(dim=1)}


def front_from_background(background: Tensor) -> dict[str, Tensor]:
    """The score of "not the front" as the probability of the front: Mohajerani et al. 2019."""
    return {"front": (-background).sigmoid()}


def drops(done: float, losses: Sequence[float], at: tuple[float, ...], factor: float) -> float:
    """A learning rate multiplied by `factor` at each share of the training in `at`: as Diaconu et al. 2023."""
    return factor ** sum(done >= share for share in at)


def plateau(done: float, losses: Sequence[float], patience: int, factor: float, warm: float = 0.0) -> float:
    """A learning rate multiplied by `factor` whenever `patience` validations in a row brought nothing better.

    It rises from nothing over the first `warm` share of the training (Goyal et al. 2017, arXiv:1706.02677).
    """
    best, since, power = float("inf"), 0, 0
    for loss in losses:
        best, since = (loss, 0) if loss < best else (best, since + 1)
        power, since = (power + 1, 0) if since >= patience else (power, since)
    return factor**power * (done / warm if done < warm else 1)


def polynomial(done: float, losses: Sequence[float], power: float = 0.9) -> float:
    """A learning rate that falls to nothing as (1 - share done) ** power: Chen et al. 2017, arXiv:1606.00915."""
    return (1 - done) ** power


def restarts(done: float, losses: Sequence[float], ends: tuple[float, ...], floor: float = 0.0) -> float:
    """A learning rate that falls as a cosine from 1 to `floor`, again and again, each time up to a share in `ends`.

    Loshchilov and Hutter 2017, arXiv:1608.03983.

    >>> [round(restarts(done, (), ends=(0.2, 1.0)), 3) for done in (0.0, 0.1, 0.2, 0.6)]
    [1.0, 0.5, 1.0, 0.5]
    """
    number = min(sum(done >= end for end in ends), len(ends) - 1)
    start = ends[number - 1] if number else 0.0
    return floor + (1 - floor) * (1 + math.cos(math.pi * (done - start) / (ends[number] - start))) / 2


def one_cycle(done: float, losses: Sequence[float], warm: float = 0.1) -> float:
    """A learning rate that rises over the first `warm` share of the training and falls to nothing over the rest.

    Smith and Topin 2018, arXiv:1708.07120; the power of the fall is ours.
    """
    return done / warm if done < warm else (1 - (done - warm) / (1 - warm)) ** 1.5 + 1e-3
