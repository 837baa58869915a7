"""Training studied: seeds, ensembles, ablations, folds that never saw a place, temperature, and adapting to a new one.

`fit` trains one system once; what stands here asks the same of several trainings and says how sure the answer is.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from glacier_nb import features, labels, predict, provenance, scores, splits, systems, uncertainty
from glacier_nb import weights as trained
from glacier_nb.adapting import adapt, adaptation, masked
from glacier_nb.fitting import Fit, fit, save
from glacier_nb.labels import Sample
from glacier_nb.landscapes import DEMO_SEEDS, demo, landscape
from glacier_nb.scores import curves, summary
from glacier_nb.splits import Split
from glacier_nb.systems import System

__all__ = [
    "DEMO_SEEDS", "Fit", "ablations", "adapt", "adaptation", "calibrate", "curves", "demo", "families", "fit", "folds",
    "landscape", "masked", "out_of_fold", "save", "score", "seeds", "summary",
]  # fmt: skip

score = scores.zones
KINDS = (
    ("change", {"dh_dt"}),
    ("radar", {"vv", "vh", "hh", "hv", "coherence"}),
    ("terrain", {"elevation"}),
    ("thermal", {"lwir11", "lwir12"}),
)
"""Groups that inputs are left out by, the first whose scene variables one needs; all others are "optical"."""


def seeds(
    system: str | System,
    samples: Sequence[Sample],
    validation: Sequence[Sample],
    test: Sequence[Sample],
    folder: str | os.PathLike,
    n: int = 3,
    measure: Mapping | None = None,
    **options,
) -> pd.DataFrame:
    """Train with n seeds and score each on `test`. Columns: seed, path (of the weights), and those of `scores.one`.

    The last row, seed "ensemble", is all of them together (n > 1). measure: options of `scores.one`. options: of `fit`.
    """
    system, rows, paths = systems.find(system), [], []
    for seed in range(n):
        found = fit(system, samples, seed, validation=validation, **options)
        paths.append(save(found, pathlib.Path(folder) / f"{system.name}-{seed}.safetensors"))
        rows.append({"seed": seed, "path": str(paths[-1])} | scores.one(system, paths[-1], test, **(measure or {})))
    if n > 1:
        rows.append({"seed": "ensemble", "path": ""} | scores.one(system, paths, test, **(measure or {})))
    return pd.DataFrame(rows)


def families(inputs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Inputs by what they are made of: optical, radar, terrain, change, thermal; one that nobody knows is by itself.

    >>> families(["red", "ndsi", "slope", "dh_dt"])
    {'optical': ('red', 'ndsi'), 'terrain': ('slope',), 'change': ('dh_dt',)}
    """
    found: dict[str, tuple[str, ...]] = {}
    for name in inputs:
        try:
            needs = set(features.needs([name]))
            kind = next((kind for kind, made_of in KINDS if needs & made_of), "optical")
        except LookupError:
            kind = name
        found[kind] = (*found.get(kind, ()), name)
    return found


def ablations(
    system: str | System,
    samples: Sequence[Sample],
    validation: Sequence[Sample],
    test: Sequence[Sample],
    folder: str | os.PathLike,
    leave_out: str = "inputs",
    groups: Mapping[str, Sequence[str]] | None = None,
    n: int = 3,
    **options,
) -> pd.DataFrame:
    """What each part is worth: a row for nothing left out, then one a part, with mean, spread and n of each score.

    leave_out: "inputs", group by group (`groups` by name, or `families`), each trained anew; or "clean", step by step
    of the cleaning, on the same trainings. Columns: left_out, score, mean, spread, n. ValueError: another word, or
    nothing to leave out.
    """
    system = systems.find(system)
    if leave_out not in ("inputs", "clean"):
        raise ValueError(f"leave_out {leave_out!r}: 'inputs' or 'clean'")
    parts = families(system.inputs) if groups is None else groups
    steps = [step.__name__ for step, _ in system.clean]
    if (leave_out == "clean" and not steps) or (leave_out == "inputs" and len(parts) < 2):
        raise ValueError(f"{system.name} has no {leave_out} to leave out: {', '.join(steps or parts)} is all it has")
    tables = {}
    if leave_out == "inputs":
        for name, gone in {"nothing": (), **parts}.items():
            numbers = [system.inputs.index(one) for one in gone]
            cut = [[labels.without(sample, numbers) for sample in some] for some in (samples, validation, test)]
            tables[name] = seeds(_less(system, gone), *cut, pathlib.Path(folder) / name, n, **options)
    else:
        base = seeds(system, samples, validation, test, folder, n, {"cleaned": True}, **options)
        tables["nothing"] = base
        for number, name in enumerate(steps):
            less = dataclasses.replace(system, clean=system.clean[:number] + system.clean[number + 1 :])
            some = base[base["seed"] != "ensemble"]
            rows = [row | scores.one(less, row["path"], test, cleaned=True) for row in some.to_dict("records")]
            tables[name] = pd.DataFrame(rows)
    found = [summary(table).rename_axis("score").reset_index().assign(left_out=name) for name, table in tables.items()]
    return pd.concat(found, ignore_index=True)[["left_out", "score", "mean", "spread", "n"]]


def _less(system: System, gone: Sequence[str]) -> System:
    """A row without some of its inputs."""
    kept = [number for number, name in enumerate(system.inputs) if name not in gone]
    short = {name: tuple(getattr(system, name)[number] for number in kept if getattr(system, name)) for name in _EACH}
    optional = tuple(name for name in system.optional if name not in gone)
    return dataclasses.replace(system, **short, optional=optional) if gone else system


_EACH = ("inputs", "mean", "std")


def folds(
    system: str | System, samples: Sequence[Sample], split: Split, folder: str | os.PathLike, seed: int = 0, **options
) -> list[pathlib.Path]:
    """Train a model for each fold, on what is neither that fold nor the one it is watched on; paths of the weights.

    In `folder`: split.json, and the weights with cards that name the split's hash, the fold, and the folds learnt from.
    """
    system, folder = systems.find(system), pathlib.Path(folder)
    splits.write(split, folder / "split.json")
    paths = []
    for fold in range(split.folds):
        train, watch = (splits.part(split, samples, fold, role, system.recipe.patch) for role in splits.ROLES[:2])
        found = fit(system, train, seed, validation=watch or None, **options)
        card = {"split": split.sha256, "fold": fold, "learnt_from": split.fold_of("train", fold)}
        card |= {"watched_on": split.fold_of("validation", fold)}
        paths.append(save(found, folder / f"fold-{fold}.safetensors", **card))
    return paths


def out_of_fold(
    layers: xr.DataArray,
    system: str | System,
    split: Split,
    paths: Sequence[str | os.PathLike],
    member: str = "",
    **options,
) -> xr.DataArray:
    """Zones (zone, y, x) of a scene, everywhere by the model that never saw the place.

    paths: of `folds`, in order. member: the scene's date or group, where the split is of whole scenes. Ground in no
    cell, which no model saw, is the first fold's. options: of `predict.zones`. attrs: split (hash) and folds, JSON:
    weights, their sha256, and the folds they learnt from and were watched on, for each fold that was used.
    ValueError: weights whose card is not of that fold of this split, or that learnt from it.
    """
    proof = {}
    for fold, path in enumerate(paths):
        row = trained.find(path)
        card = row.card
        if card.get("split") != split.sha256 or card.get("fold") != fold or fold in card.get("learnt_from", [fold]):
            raise ValueError(f"{path}: its card is not of fold {fold} of split {split.sha256[:12]}: train with folds()")
        proof[fold] = {"weights": row.name, "sha256": row.sha256} | {k: card[k] for k in ("learnt_from", "watched_on")}
    if not split.cells:
        if member not in split.members:
            raise ValueError(f"member {member!r} is in no fold: one of {', '.join(map(str, split.members))}")
        fold = split.members[member]
        found = predict.zones(layers, system, str(paths[fold]), **options)
        return found.assign_attrs(split=split.sha256, folds=json.dumps({fold: proof[fold]}))
    owner = np.zeros(tuple(layers.odc.geobox.shape), int)
    for fold in range(split.folds):
        owner[splits.within(split, layers.odc.geobox, [fold])] = fold
    out, used = None, {}
    for fold in np.unique(owner).tolist():
        found = predict.zones(layers, system, str(paths[fold]), **options)
        out = found if out is None else out.where(owner != fold, found.values)
        used[fold] = proof[fold]
    return out.assign_attrs(found.attrs, weights="one a fold", split=split.sha256, folds=json.dumps(used))


def calibrate(path: str | os.PathLike, validation: Sequence[Sample], system: str | System | None = None) -> float:
    """The temperature of weights, found on scenes they did not learn from and written into their card.

    Of the probability of ice (Guo et al. 2017); `predict.zones` tempers by it. The card's keys: temperature,
    temperature_from (names of the scenes), and on all their known pixels, as the weights give it and tempered,
    ece_before, ece_after (`uncertainty.ece`), reliability_before, reliability_after (`uncertainty.reliability`: a list
    for each column, null in an empty bin). ValueError: a scene is among those the card says were learnt.
    """
    row = trained.find(path)
    if learnt := sorted({sample.name for sample in validation} & set(row.card.get("samples", ()))):
        raise ValueError(f"{learnt[0]} was learnt from: a temperature is found on validation scenes only")
    system = systems.find(system or row.system)
    ice = systems.mapped(system)
    untempered = dataclasses.replace(row, card={key: row.card[key] for key in row.card if key != "temperature"})
    chance, true = [], []
    for sample in validation:
        found = scores.chances(system, untempered, sample)[ice]
        seen, found = scores.known(sample, found), found.sum(axis=0).clip(0, 1)
        chance.append(found[seen])
        true.append(np.isin(np.asarray(sample.truth)[seen], ice))
    chance, true = np.concatenate(chance), np.concatenate(true)
    warmth = uncertainty.temperature(chance, true)
    told = {"temperature": warmth, "temperature_from": [sample.name for sample in validation]}
    for side, found in {"before": chance, "after": uncertainty.temper(chance, warmth)}.items():
        table = uncertainty.reliability(found, true).round(6).astype(object)
        told[f"ece_{side}"] = uncertainty.ece(found, true)
        told[f"reliability_{side}"] = table.where(table.notna(), None).to_dict("list")
    provenance.write(pathlib.Path(path).with_suffix(".json"), {**row.card, **told})
    return warmth
