"""Weights taught a new place by a few labelled scenes, a mask of its rock and summer images: the curve of error.

Without a source, plain or ours: `masked`, `adaptation`.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from glacier_nb import labels, scores, systems
from glacier_nb import weights as trained
from glacier_nb.fitting import Fit, fit, save
from glacier_nb.labels import Sample
from glacier_nb.systems import System


def adapt(
    weights: str | os.PathLike | trained.Weights,
    scenes: Sequence[Sample],
    rock: np.ndarray | Mapping[str, np.ndarray] | None = None,
    summer: Sequence[Sample] = (),
    steps: int = 200,
    rate: float = 0.1,
    seed: int = 0,
    sure: float = 0.9,
    system: str | System | None = None,
    **options,
) -> Fit:
    """Weights taught a new place by a few labelled scenes, with what is known of it at all times.

    rock: (y, x) bool on the scenes' grid, or one by scene name: ground that never has ice; it is learnt as rock where
    the scene has no other label, and `masked` keeps products off it. summer: scenes without labels, snow and melange;
    what the weights are `sure` of there is learnt as if it were labelled. steps: batches. rate: of the recipe's own.
    The idea of both: arXiv:2601.21663 (1131.6 m to 68.7 m on a new site), which gives them to the network as inputs;
    how they are used here is ours. ValueError: no scene, or summer scenes for a system without zones.
    """
    row = trained.find(weights)
    system = systems.find(system or row.system)
    system = dataclasses.replace(system, network=row.network) if row.network is not None else system
    if not scenes:
        raise ValueError("no labelled scene to adapt to: give one or more, three to ten change most")
    if summer and not system.zones:
        raise ValueError(f"{system.name} maps a front alone: summer scenes serve systems with zones")
    learnt = [*scenes, *(_sure(system, row, sample, sure) for sample in summer)]
    ground = labels.ground(system.zones)
    if rock is not None and ground is not None:
        masks = [rock.get(sample.name) if isinstance(rock, Mapping) else rock for sample in learnt]
        learnt = [
            sample
            if mask is None
            else labels.with_rock(sample, mask & (np.asarray(sample.truth) == labels.UNSEEN), ground)
            for sample, mask in zip(learnt, masks, strict=True)
        ]
    options = {"absent": (*system.zones, "front")} | options  # a few scenes need not show all that the weights know
    return fit(system, learnt, seed, steps, start=row, rate=rate, **options)


def _sure(system: System, row: trained.Weights, sample: Sample, sure: float) -> Sample:
    """A scene labelled by the weights where they are sure."""
    found = np.nan_to_num(scores.chances(system, row, sample))
    truth = np.where(found.max(axis=0) >= sure, found.argmax(axis=0), labels.UNSEEN).astype("uint8")
    return dataclasses.replace(sample, truth=truth)


def _unknown(sample: Sample) -> np.ndarray:
    return np.asarray(sample.truth) == labels.UNSEEN


def masked(product: xr.DataArray, rock: np.ndarray) -> xr.DataArray:
    """Zones (zone, y, x) that are surely rock on `rock` (y, x) bool, or a front (y, x) that is never there.

    ValueError: zones without a rock among them.
    """
    if "zone" not in product.dims:
        return product.where(~rock | product.isnull(), 0)
    names = [str(name) for name in product.zone.values]
    ground = labels.ground(names)
    if ground is None:
        raise ValueError(f"zones {', '.join(names)} have no rock to be sure of: mask the front instead")
    certain = xr.DataArray((np.arange(len(names)) == ground).astype(product.dtype), dims="zone")
    return product.where(~rock | product.isnull(), certain).transpose(*product.dims)


def adaptation(
    weights: str | os.PathLike | trained.Weights,
    scenes: Sequence[Sample],
    test: Sequence[Sample],
    folder: str | os.PathLike,
    counts: Sequence[int] = (0, 3, 5, 10),
    n: int = 3,
    measure: Mapping | None = None,
    system: str | System | None = None,
    **options,
) -> pd.DataFrame:
    """The curve of error against the number of labelled scenes of a new place: scenes, score, mean, spread, n.

    counts: of scenes drawn from `scenes`, another draw a seed; 0: the weights as they are. measure: options of
    `scores.one`, system, options: of `adapt`. ValueError: more asked for than there are, or a test scene among them.
    """
    if same := sorted({sample.name for sample in scenes} & {sample.name for sample in test}):
        raise ValueError(f"{same[0]} is to be learnt from and tested on: keep test scenes apart")
    if max(counts) > len(scenes):
        raise ValueError(f"{max(counts)} scenes asked for, {len(scenes)} given: take fewer, or label more")
    row = trained.find(weights)
    system = systems.find(system or row.system)
    found = []
    for count in counts:
        rows = []
        for seed in range(n if count else 1):
            path: str | os.PathLike = weights
            if count:
                some = np.random.default_rng((seed, count)).choice(len(scenes), count, replace=False)
                fitted = adapt(row, [scenes[k] for k in sorted(some)], seed=seed, system=system, **options)
                path = save(fitted, pathlib.Path(folder) / f"{count}-scenes-{seed}.safetensors")
            rows.append({"seed": seed, "path": str(path)} | scores.one(system, path, test, **(measure or {})))
        found.append(scores.summary(pd.DataFrame(rows)).rename_axis("score").reset_index().assign(scenes=count))
    return pd.concat(found, ignore_index=True)[["scenes", "score", "mean", "spread", "n"]]
