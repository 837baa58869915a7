"""Training cuts of a few scenes: drawn on the fly so that rare zones are seen, normalised, turned, made to forget."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from glacier_nb import augment, labels, networks, systems
from glacier_nb.labels import UNSEEN, Sample
from glacier_nb.systems import System

__all__ = ["UNSEEN", "Sample", "absent", "batches", "check", "statistics"]

FRONT = -1
"""Key of the places on a front, beside those of the zones."""


def statistics(samples: Sequence[Sample]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each input over the seen pixels of every seventh row and column."""
    seen = np.concatenate([_few(s) for s in samples], axis=1)
    blank = np.isnan(seen).all(axis=1)
    seen[blank] = 0  # an input that no sample has: neither shifted nor scaled
    std = np.where(blank, 1, np.nanstd(seen, axis=1))
    return tuple(np.nanmean(seen, axis=1).round(6).tolist()), tuple(np.maximum(std, 1e-6).round(6).tolist())


def _few(sample: Sample) -> np.ndarray:
    """(feature, pixel) float64 of every seventh row and column of all dates, NaN where cuts may not lie."""
    values = np.array(sample.features[:, ::7, ::7], "float64")
    if sample.within is not None:
        values[:, ~np.asarray(sample.within[::7, ::7])] = np.nan
    dates = max(1, len(sample.days))
    return values.reshape(dates, len(values) // dates, -1).swapaxes(0, 1).reshape(len(values) // dates, -1)


def check(system: System, sample: Sample) -> None:
    """ValueError where a sample is not what the system takes."""
    labels.check(sample, system.inputs, system.zones, system.recipe.patch, system.name)


def absent(system: System, samples: Sequence[Sample]) -> list[str]:
    """Zones of the system that no pixel of the samples has, and "front" where it learns one and none is drawn."""
    held: set[int] = set()
    for sample in samples:
        inside = () if sample.within is None else (sample.within,)
        held |= set(np.unique(np.asarray(sample.truth)[..., *inside]).tolist())
    found = [zone for number, zone in enumerate(system.zones) if number not in held]
    blank = not any(sample.front is not None and np.asarray(sample.front).any() for sample in samples)
    return [*found, "front"] if not system.zones and blank else found


def batches(
    system: System,
    samples: Sequence[Sample],
    rng: np.random.Generator | Sequence[int],
    mean: Sequence[float],
    std: Sequence[float],
    forget: float,
    start: int = 0,
    augmented: bool = True,
) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches: x (batch, channel, y, x) normalised, 0 for what is unseen; truth, seen, front as in `losses`.

    Of series x is (batch, time * channel, y, x), days (batch, time), and truth, seen and front are of (batch * time):
    what is known counts at every date, whether that date saw it or not. Where `augmented`, each batch has so many of
    the dates as is drawn, one at least and the one of the zone drawn among them, and more cuts the fewer they are: a
    network of series learns to do with any number, and sees a zone that few dates have as often as others.

    Half of the cuts lie about a pixel of a zone (or of a front) drawn evenly, and of a glacier drawn evenly among those
    that have it; the others anywhere. None holds a pixel that is not `within`. Each optional input is left out with
    probability `forget`, and all of them together as often. One of the recipe's symmetries is drawn and, where
    `augmented`, its augmentation. cuts: (sample, top, left) of each. rng: or seeds, of which each batch is drawn anew:
    the first is then number `start`. ValueError: no sample has a pixel whose zone is known, or series are of different
    lengths.
    """
    seeds = None if isinstance(rng, np.random.Generator) else tuple(rng)
    recipe, side = system.recipe, system.recipe.patch
    if len({len(sample.days) for sample in samples}) > 1:
        raise ValueError("samples of series with different numbers of dates: give each the same number")
    dates, shown = len(samples[0].days), np.array(systems.shows_ground(system))
    optional = np.array([name in system.optional for name in system.inputs])
    shift, scale = (np.asarray(numbers, "float32")[:, None, None] for numbers in (mean, std))
    corners = [_corners(sample, side) for sample in samples]
    places = _places(samples, corners, side, np.random.default_rng(seeds) if seeds else rng)
    if not places:
        raise ValueError("no sample has a pixel whose zone is known: nothing can be learnt")
    zones = list(places)
    while True:
        if seeds is not None:
            rng = np.random.default_rng((*seeds, start))
        batch, cuts, days = [], [], []
        few = 1 + int(rng.integers(dates)) if dates > 1 and augmented else dates
        for _ in range(recipe.batch * max(1, dates) // max(1, few)):
            about = places[zones[rng.integers(len(zones))]]
            spots = about[rng.integers(len(about))] if len(about) > 1 else about[0]
            number, date, y, x = spots[rng.integers(len(spots))]
            if rng.random() < 0.5:  # anywhere, else about a pixel of a zone
                number = int(rng.integers(len(samples)))
                date = int(rng.integers(dates)) if dates > 1 else 0
                y, x = (rng.integers(size) for size in samples[number].truth.shape[-2:])
                if corners[number] is not None:
                    y, x = _anywhere(corners[number], rng)
            sample, kept = samples[number], slice(None)
            if few < dates:
                others = rng.choice(np.delete(np.arange(dates), date), few - 1, replace=False)
                kept = np.sort(np.append(others, date))
            top, left = _corner(corners[number], y, x, sample.truth.shape[-2:], side, rng)
            cut = (slice(top, top + side), slice(left, left + side))
            values = np.array(sample.features[:, *cut], "float32").reshape(-1, len(shown), side, side)[kept]
            truth = np.asarray(sample.truth[..., *cut])
            front = np.zeros(truth.shape, bool) if sample.front is None else np.asarray(sample.front[..., *cut], bool)
            if dates:
                truth, front = truth[kept], front[kept]
            seen = (truth != UNSEEN) & (bool(dates) | ~np.isnan(values[:, shown]).all(axis=(0, 1)))
            gone = optional & (rng.random(len(optional)) < forget) | optional & (rng.random() < forget)
            values[:, gone] = np.nan
            values = ((values - shift) / scale).reshape(-1, side, side)
            values[~np.isfinite(values)] = 0
            turn = int(rng.choice(recipe.symmetries))
            parts = {"x": values, "truth": truth.astype("int64"), "seen": seen, "front": front}
            parts = {name: networks.symmetry(torch.from_numpy(part), turn) for name, part in parts.items()}
            batch.append(augment.applied(recipe.augment if augmented else (), parts, rng))
            cuts.append((number, top, left))
            days.append(np.asarray(sample.days)[kept])
        found = {name: torch.stack([parts[name] for parts in batch]) for name in batch[0]}
        if dates:
            found |= {name: found[name].flatten(0, 1) for name in ("truth", "seen", "front")}
            found["days"] = torch.from_numpy(np.stack(days).astype("float32"))
        yield found | {"cuts": torch.tensor(cuts)}
        start += 1


def _corners(sample: Sample, side: int) -> np.ndarray | None:
    """(y, x) bool: where a cut's first pixel may lie so that all of it is within; None where it may lie anywhere."""
    if sample.within is None:
        return None
    total = np.pad(np.asarray(sample.within), ((1, 0), (1, 0))).cumsum(0, dtype="int64").cumsum(1)
    inside = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    if not (inside == side * side).any():
        raise ValueError(
            f"{sample.name}: no patch of {side} pixels lies wholly within its part of the split: take a smaller patch"
            " or larger parts"
        )
    return inside == side * side


def _anywhere(corners: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    rows = corners.sum(axis=1).cumsum()
    at = rng.integers(rows[-1])
    y = int(np.searchsorted(rows, at, side="right"))
    return y, int(np.flatnonzero(corners[y])[at - (rows[y - 1] if y else 0)])


def _corner(corners, y: int, x: int, shape: tuple[int, int], side: int, rng: np.random.Generator) -> tuple[int, int]:
    """First pixel of a cut that holds (y, x)."""
    if corners is None:
        return tuple(
            int(np.clip(at - rng.integers(side), 0, size - side)) for at, size in zip((y, x), shape, strict=True)
        )
    top, left = max(0, y - side + 1), max(0, x - side + 1)
    near = np.argwhere(corners[top : y + 1, left : x + 1])
    return tuple((near[rng.integers(len(near))] + (top, left)).tolist())


def _places(
    samples: Sequence[Sample], corners: Sequence, side: int, rng: np.random.Generator, most: int = 2000
) -> dict[int, list[list]]:
    """Zone (or `FRONT`) to a list a glacier of some (sample, date, y, x) where it lies and a cut can hold it."""
    places: dict[int, dict[tuple, list]] = {}
    for number, sample in enumerate(samples):
        truth = np.array(sample.truth)
        if corners[number] is not None:
            truth[..., ~_held(corners[number], side)] = UNSEEN
        known = {int(zone): truth == zone for zone in np.unique(truth[truth != UNSEEN])}
        if sample.front is not None:
            known |= {FRONT: np.asarray(sample.front, bool) & (truth != UNSEEN)}
        for zone, there in known.items():
            spots = np.argwhere(there if there.ndim == 3 else there[None])
            which = np.zeros(len(spots), int) if sample.glaciers is None else np.asarray(sample.glaciers)[*spots.T[1:]]
            for glacier in np.unique(which):
                some = spots[which == glacier]
                some = some[rng.choice(len(some), min(most, len(some)), replace=False)]
                key = (sample.group, int(glacier))
                places.setdefault(zone, {}).setdefault(key, []).extend((number, *spot) for spot in some.tolist())
    return {zone: list(groups.values()) for zone, groups in places.items()}


def _held(corners: np.ndarray, side: int) -> np.ndarray:
    """(y, x) bool: pixels that some cut from `corners` holds."""
    wide = np.pad(corners, side).cumsum(0, dtype="int64").cumsum(1)
    return (wide[side:, side:] - wide[:-side, side:] - wide[side:, :-side] + wide[:-side, :-side])[:-1, :-1] > 0
