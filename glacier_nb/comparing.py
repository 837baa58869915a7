"""Systems compared: the same ground, folds, seeds and steps for all, and a table with intervals and paired tests."""

import dataclasses
import os
import pathlib
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from tqdm import tqdm

from glacier_nb import fitting, provenance, scores, splits, systems
from glacier_nb.labels import Sample
from glacier_nb.splits import Split
from glacier_nb.systems import System


def compare(
    names: Sequence[str],
    samples: Callable[[System], Sequence[Sample]],
    split: Split,
    folder: str | os.PathLike,
    steps: int = 100,
    seeds: int = 1,
    patch: int = 128,
    batch: int = 10,
    **options,
) -> pd.DataFrame:
    """Train each system without a fold and score the ice it maps there, fold by fold and seed by seed.

    samples: gives a system's scenes, the same ground for all. All learn from patches of one size, in as many steps; a
    system that has nothing to learn is scored as it is. options: of `fitting.fit`. In `folder`: split.json, and the
    weights of every training with their cards. Columns: system, split, fold, seed, steps, seconds, parameters, and
    those of `scores.ice`, a row a scene. ValueError as in `splits.part` and `fitting.fit`.
    """
    folder, rows = pathlib.Path(folder), []
    splits.write(split, folder / "split.json")
    jobs = [(name, seed, fold) for name in names for seed in range(seeds) for fold in range(split.folds)]
    scenes: dict[str, Sequence[Sample]] = {}
    for name, seed, fold in tqdm(jobs, desc="trainings", unit="training", delay=2):
        system = systems.find(name)
        scenes = scenes if name in scenes else {name: samples(system)}
        learn, watch, test = (splits.part(split, scenes[name], fold, role, patch) for role in splits.ROLES)
        path, start, done = None, time.perf_counter(), 0
        if system.recipe is not None:
            recipe = dataclasses.replace(system.recipe, patch=patch, batch=batch, accumulate=1)
            system, done = dataclasses.replace(system, recipe=recipe), steps
            absent = (*system.zones, "front")
            found = fitting.fit(system, learn, seed, steps, watch or None, absent=absent, progress=False, **options)
            path = fitting.save(
                found, folder / f"{name}-{fold}-{seed}.safetensors", split=split.sha256, fold=fold,
                learnt_from=split.fold_of("train", fold), watched_on=split.fold_of("validation", fold),
            )  # fmt: skip
        key = {"system": name, "split": split.kind, "fold": fold, "seed": seed, "steps": done}
        key |= {"seconds": time.perf_counter() - start, "parameters": systems.card(system)["parameters"]}
        some = scores.ice(system, path, test)
        rows += [key | row | {"name": f"{row['name']}, fold {fold}"} for row in some.to_dict("records")]
    found = pd.DataFrame(rows)
    with provenance.whole(folder / "scenes.csv") as path:
        found.to_csv(path, index=False)
    return found


def table(
    scenes: pd.DataFrame, column: str = "one_less_iou", also: Sequence[str] = (), draws: int = 2000
) -> pd.DataFrame:
    """A row a split and system: mean of a score over scenes (less is better), and how sure it is that one is better.

    scenes: of `compare`. Columns: split, system, the score, its spread over n seeds, low and high (95 % by bootstrap
    over scenes), scenes, missed (how many each), to_best (difference to the best system) with its interval to_best_low
    and to_best_high, and p (of Wilcoxon's paired test), steps, seconds (a training), parameters (how many); and of each
    column in `also` the mean of its absolutes. NaN: a system that missed all scenes has no score.
    """
    from scipy.stats import wilcoxon

    rng, rows = np.random.default_rng(0), []
    for split, some in scenes.groupby("split"):
        each = some.pivot_table(index="name", columns="system", values=column, aggfunc="mean", dropna=False)
        mean = each.mean()
        best = each[mean.idxmin()] if mean.notna().any() else np.nan
        for system, mine in some.groupby("system"):
            by_seed = mine.groupby("seed")[column].mean()
            values = each[system].dropna().to_numpy()
            low, high = _interval(values, rng, draws)
            apart = (each[system] - best).dropna()
            less, more = _interval(apart.to_numpy(), rng, draws)
            p = wilcoxon(apart).pvalue if len(apart) > 1 and np.any(apart) else np.nan
            rows.append({
                "split": split, "system": system, column: by_seed.mean(), "spread": by_seed.std(ddof=1),
                "n": len(by_seed), "low": low, "high": high, "scenes": len(values), "missed": int(mine.missed.sum()),
                "to_best": apart.mean(), "to_best_low": less, "to_best_high": more, "p": p,
                "steps": int(mine.steps.iloc[0]), "seconds": mine.groupby(["fold", "seed"]).seconds.first().mean(),
                "parameters": int(mine.parameters.iloc[0]),
                **{word: float(mine[word].abs().mean()) for word in also},
            })  # fmt: skip
    return pd.DataFrame(rows).sort_values(["split", column], ignore_index=True)


def _interval(values: np.ndarray, rng: np.random.Generator, draws: int) -> tuple[float, float]:
    """95 % of the means of as many values drawn with replacement."""
    if not len(values):
        return np.nan, np.nan
    means = rng.choice(values, (draws, len(values))).mean(axis=1)
    return tuple(np.quantile(means, (0.025, 0.975)).tolist())
