"""Training cuts of a few scenes: drawn on the fly so that rare zones are seen, normalised, turned, made to forget."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from glacier_nb import networks, systems
from glacier_nb.systems import System

UNSEEN = 255
"""Truth where nothing is known: it counts in no loss."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """One scene to learn from; its arrays may be memory maps.

    features: (feature, y, x) in the system's order, NaN where unseen. truth: (y, x) uint8, index into the system's
    zones or `UNSEEN`. front: (y, x) bool, where the system learns one.
    """

    name: str
    features: np.ndarray
    truth: np.ndarray
    front: np.ndarray | None = None


def statistics(samples: Sequence[Sample]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each input over the seen pixels of every seventh row and column."""
    seen = np.concatenate(
        [np.asarray(s.features[:, ::7, ::7], "float64").reshape(len(s.features), -1) for s in samples], axis=1
    )
    blank = np.isnan(seen).all(axis=1)
    seen[blank] = 0  # an input that no sample has: neither shifted nor scaled
    std = np.where(blank, 1, np.nanstd(seen, axis=1))
    return tuple(np.nanmean(seen, axis=1).round(6).tolist()), tuple(np.maximum(std, 1e-6).round(6).tolist())


def check(system: System, sample: Sample) -> None:
    """ValueError where a sample is not what the system takes."""
    if len(sample.features) != len(system.inputs):
        raise ValueError(f"{sample.name} has {len(sample.features)} channels, {system.name} takes {len(system.inputs)}")
    if sample.features.shape[1:] != sample.truth.shape or min(sample.truth.shape) < system.recipe.patch:
        raise ValueError(
            f"{sample.name}: features {sample.features.shape}, truth {sample.truth.shape}: they must agree and hold a"
            f" patch of {system.recipe.patch} pixels"
        )


def batches(
    system: System,
    samples: Sequence[Sample],
    rng: np.random.Generator,
    mean: Sequence[float],
    std: Sequence[float],
    forget: float,
) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches: x (batch, channel, y, x) normalised, 0 for what is unseen; truth, seen, front as in `losses`.

    Half of the cuts lie about a pixel of a zone drawn evenly, the others anywhere. Each optional input is left out with
    probability `forget`, and all of them together as often. The recipe's symmetries are drawn from.
    """
    recipe, side = system.recipe, system.recipe.patch
    shown = np.array(systems.shows_ground(system))
    optional = np.array([name in system.optional for name in system.inputs])
    shift, scale = (np.asarray(numbers, "float32")[:, None, None] for numbers in (mean, std))
    places = _places(samples, rng)
    if not places:
        raise ValueError("no sample has a pixel whose zone is known: nothing can be learnt")
    while True:
        batch = []
        for _ in range(recipe.batch):
            zone = list(places)[rng.integers(len(places))]
            number, y, x = places[zone][rng.integers(len(places[zone]))]
            sample = samples[number]
            if rng.random() < 0.5:  # anywhere, else about a pixel of a zone
                number = rng.integers(len(samples))
                sample = samples[number]
                y, x = (rng.integers(size) for size in sample.truth.shape)
            top, left = (
                int(np.clip(at - rng.integers(side), 0, size - side))
                for at, size in zip((y, x), sample.truth.shape, strict=True)
            )
            cut = (slice(top, top + side), slice(left, left + side))
            values = np.asarray(sample.features[:, *cut], "float32")
            truth = np.asarray(sample.truth[cut])
            seen = (truth != UNSEEN) & ~np.isnan(values[shown]).all(axis=0)
            gone = optional & (rng.random(len(optional)) < forget) | optional & (rng.random() < forget)
            values[gone] = np.nan
            values = (values - shift) / scale
            values[~np.isfinite(values)] = 0
            front = np.zeros_like(seen) if sample.front is None else np.asarray(sample.front[cut], bool)
            turn = int(rng.choice(recipe.symmetries))
            parts = (values, truth.astype("int64"), seen, front)
            batch.append([networks.symmetry(torch.from_numpy(part), turn) for part in parts])
        yield dict(zip(("x", "truth", "seen", "front"), map(torch.stack, zip(*batch, strict=True)), strict=True))


def _places(samples: Sequence[Sample], rng: np.random.Generator, most: int = 2000) -> dict[int, list]:
    """Zone to some (sample, y, x) where it lies."""
    places: dict[int, list] = {}
    for number, sample in enumerate(samples):
        truth = np.asarray(sample.truth)
        for zone in np.unique(truth[truth != UNSEEN]):
            spots = np.argwhere(truth == zone)
            spots = spots[rng.choice(len(spots), min(most, len(spots)), replace=False)]
            places.setdefault(int(zone), []).extend((number, *spot) for spot in spots.tolist())
    return places
