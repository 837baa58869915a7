"""How well weights map labelled scenes: zones by IoU and area, fronts by distance with the missed ones counted.

Without a source, plain or ours: `layers`, `chances`, `known`, `zones`, `ice`, `of_ice`, `without`, `one`, `summary`,
`curves`.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import shapely
import xarray as xr

from glacier_nb import clean, labels, metrics, paths, predict, systems
from glacier_nb.labels import Sample
from glacier_nb.systems import System
from glacier_nb.weights import Weights

Paths = str | os.PathLike | Weights | Sequence[str | os.PathLike]


def layers(system: System, sample: Sample) -> xr.DataArray:
    """Features of a sample as `predict` takes them: float32 (feature, y, x), on the sample's grid if it has one."""
    found = xr.DataArray(
        np.asarray(sample.features, "float32"), {"feature": list(system.inputs)}, ("feature", "y", "x")
    )
    if sample.geobox is not None:
        from odc.geo.xr import xr_coords

        found = found.assign_coords(xr_coords(sample.geobox))
    return found


def _rows(path: Paths | None) -> str | Weights | list[str] | None:
    """Weights as `predict` takes them: one, or the members of an ensemble."""
    if path is None or isinstance(path, Weights):
        return path
    return str(path) if isinstance(path, str | os.PathLike) else [str(one) for one in path]


def chances(system: System, path: Paths | None, sample: Sample, cleaned: bool = False) -> np.ndarray:
    """Probability (zone, y, x) that weights, or an ensemble of them, give a sample, NaN where unseen."""
    found = predict.zones(layers(system, sample), system, _rows(path), progress=False, clean=cleaned)
    return np.asarray(found)


def known(sample: Sample, chance: np.ndarray) -> np.ndarray:
    """Pixels (y, x; bool) that count in a score: `within`, of a known truth, and with a probability (zone, y, x)."""
    seen = (np.asarray(sample.truth) != labels.UNSEEN) & ~np.isnan(chance[0])
    return seen if sample.within is None else seen & np.asarray(sample.within)


def zones(system: str | System, path: Paths, samples: Sequence[Sample], cleaned: bool = False) -> dict:
    """How weights map whole scenes: IoU of each zone over all of them, and percent error of the area in each.

    Keys iou, and ice_area_error_percent, or area_error_percent of all zones but the first where none of them is ice.
    path: one file, or several as an ensemble. Only pixels `within` and with a known truth count.
    """
    system = systems.find(system)
    both, either, errors = np.zeros(len(system.zones)), np.zeros(len(system.zones)), {}
    mapped = systems.mapped(system)
    for sample in samples:
        found, truth = chances(system, path, sample, cleaned), np.asarray(sample.truth)
        seen = known(sample, found)
        guess, true = found.argmax(axis=0)[seen], truth[seen]
        for zone in range(len(system.zones)):
            both[zone] += ((guess == zone) & (true == zone)).sum()
            either[zone] += ((guess == zone) | (true == zone)).sum()
        share = np.isin(guess, mapped).sum() / max(1, np.isin(true, mapped).sum())
        errors[sample.name] = round(100 * float(share - 1), 3)
    iou = np.where(either > 0, both / np.maximum(either, 1), np.nan).round(4).tolist()
    area = "ice_area_error_percent" if set(system.zones) & set(clean.ICE) else "area_error_percent"
    return {"iou": dict(zip(system.zones, iou, strict=True)), area: errors}


def ice(
    system: str | System, path: Paths | None, samples: Sequence[Sample], cleaned: bool = False, side: int = 0
) -> pd.DataFrame:
    """How weights map the ice of whole scenes, bare and covered together, a row a sample.

    Columns: name, missed (bool: no ice was mapped), one_less_iou, area_error_percent. path: None for a system that has
    nothing to learn. Only pixels `within` and with a known truth count. attrs, with `side`: those of `of_blocks` over
    squares of so many pixels, for samples of one grid. ValueError: they are of several.
    """
    system, rows, shares = systems.find(system), [], []
    if side and len({sample.truth.shape for sample in samples}) > 1:
        raise ValueError("samples of several grids have no blocks of ground in common: score them without side=")
    kinds = [number for number, zone in enumerate(system.zones) if zone in clean.ICE]
    for sample in samples:
        chance, truth = chances(system, path, sample, cleaned), np.asarray(sample.truth)
        seen = known(sample, chance)
        guess, true = (np.isin(zones[seen], kinds) for zones in (chance.argmax(axis=0), truth))
        rows.append(of_ice(sample.name, guess, true))
        if side:
            high, wide = (-(-length // side) for length in truth.shape)
            row, column = (place // side for place in np.nonzero(seen))
            counted = (guess & true, guess | true, np.ones(len(guess)))
            shares.append([np.bincount(row * wide + column, kind, high * wide) for kind in counted])
    table = pd.DataFrame(rows)
    if side:
        both, either, pixels = np.stack(shares, axis=1)
        table.attrs = of_blocks(both[:, pixels.any(axis=0)], either[:, pixels.any(axis=0)])
    return table


def of_ice(name: str, guess: np.ndarray, true: np.ndarray) -> dict:
    """A row of `ice` from maps of ice (bool) over the same pixels.

    >>> of_ice("a", np.array([True, True]), np.array([True, False]))
    {'name': 'a', 'missed': False, 'one_less_iou': 0.5, 'area_error_percent': 100.0}
    """
    return {
        "name": name,
        "missed": not guess.any(),
        "one_less_iou": 1 - metrics.iou(guess, true),
        "area_error_percent": metrics.area_error(guess, true),
    }


def of_blocks(both: np.ndarray, either: np.ndarray, draws: int = 2000) -> dict[str, float]:
    """IoU as the mean over samples, and its 95 % interval by bootstrap over blocks of ground: iou, low, high, blocks.

    both, either: (sample, block), pixels in both maps and in one at least. Pixels beside each other err alike, and so
    do summers of one ground: whole blocks are drawn, with replacement and the same in all samples (Lahiri 2003,
    Resampling Methods for Dependent Data, ch. 12). It is of the ground: what other ground like this would give to the
    same weights. low and high are NaN of fewer than two blocks.

    >>> of_blocks(np.full((2, 9), 3), np.full((2, 9), 4))
    {'iou': 0.75, 'low': 0.75, 'high': 0.75, 'blocks': 9}
    """
    count = both.shape[1]
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), draws).T
    found = np.ma.divide(both @ drawn, either @ drawn).mean(axis=0).compressed()  # masked where there is no ice
    iou = float(np.ma.filled(np.ma.divide(both.sum(axis=1), either.sum(axis=1)).mean(), np.nan))
    low, high = np.quantile(found, (0.025, 0.975)).tolist() if count > 1 and len(found) else (np.nan, np.nan)
    return {"iou": iou, "low": low, "high": high, "blocks": count}


def without(
    system: str | System, path: Paths, samples: Sequence[Sample], groups: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Mean IoU of ice over scenes where nobody has the inputs of a group, for each of `groups`; "" : all are there.

    LookupError: a group names what is no input.
    """
    system, found = systems.find(system), {}
    for group, names in {"": (), **groups}.items():
        if strange := sorted(set(names) - set(system.inputs)):
            raise LookupError(f"{system.name} has no input {strange[0]!r}: one of {', '.join(system.inputs)}")
        blind = np.isin(system.inputs, list(names))[:, None, None]
        dim = (dataclasses.replace(one, features=np.where(blind, np.nan, one.features)) for one in samples)
        found[group] = round(float(1 - np.mean([ice(system, path, [one]).one_less_iou[0] for one in dim])), 4)
    return found


def fronts(
    system: str | System,
    path: Paths,
    samples: Sequence[Sample],
    margin: tuple[int, int] = (30, 24),
    window: int = 512,
) -> pd.DataFrame:
    """How far the cheapest path through each front map lies from the label.

    Columns name, missed (bool), there_px, back_px, mean_px: a row a sample, distances from label to front and back.
    Both lie inside the margin (rows, columns), the path is scored over the label's columns, and a front is missed where
    the map passes 0.5 nowhere on the path, as in `benchmarks/frontlearning.py` (Mohajerani et al. 2019,
    doi:10.3390/rs11010074). attrs: mean_px, n, missed. ValueError: a sample has no front inside the margin.
    """
    from skimage.morphology import skeletonize

    system, rows = systems.find(system), []
    for sample in samples:
        inside = np.zeros(sample.truth.shape, bool)
        inside[margin[0] : inside.shape[0] - margin[0], margin[1] : inside.shape[1] - margin[1]] = True
        true = np.argwhere(skeletonize(np.asarray(sample.front, bool)) & inside)
        if not len(true):
            raise ValueError(f"{sample.name} has no front inside the margin of {margin} pixels")
        chance = predict.front(layers(system, sample), system, _rows(path), window=window, progress=False).values
        way = paths.minimum_cost(1 - chance, margin)
        if not np.nanmax(chance[tuple(way.T)]) >= 0.5:
            rows.append((sample.name, True, np.nan, np.nan, np.nan))
            continue
        way = way[(way[:, 1] >= true[:, 1].min()) & (way[:, 1] <= true[:, 1].max())]
        found = metrics.front_deviation(shapely.multipoints(true), shapely.multipoints(way))
        there, back = found.mean_a_to_b, found.mean_b_to_a
        rows.append((sample.name, False, there, back, (there + back) / 2))
    table = pd.DataFrame(rows, columns=["name", "missed", "there_px", "back_px", "mean_px"])
    table.attrs = {"mean_px": float(table.mean_px.mean()), "n": len(table), "missed": int(table.missed.sum())}
    return table


def one(
    system: str | System, path: Paths, samples: Sequence[Sample], front: bool = False, **options
) -> dict[str, float]:
    """The numbers that comparisons are made of: mean_iou and area_error_percent (mean of absolutes), or mean_px and
    missed where the system maps a front alone, or where `front` is asked for.
    """
    system = systems.find(system)
    if front or not system.zones:
        found = fronts(system, path, samples, **options).attrs
        return {"mean_px": found["mean_px"], "missed": float(found["missed"])}
    found = zones(system, path, samples, **options)
    iou, errors = (list(part.values()) for part in found.values())
    return {"mean_iou": float(np.nanmean(iou)), "area_error_percent": float(np.abs(errors).mean())}


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Each score of `seeds` over the single trainings: mean, spread (standard deviation; NaN of one) and n.

    >>> table = pd.DataFrame({"seed": [0, 1, "ensemble"], "path": "", "mean_iou": [0.8, 0.6, 0.9]})
    >>> summary(table).loc["mean_iou"].round(3).tolist()
    [0.7, 0.141, 2.0]
    """
    single = table[table["seed"] != "ensemble"].drop(columns=["seed", "path"])
    return pd.DataFrame({"mean": single.mean(), "spread": single.std(ddof=1), "n": single.count()})


def curves(history: Sequence[Mapping] | str | os.PathLike):
    """Loss, validation loss and IoU over the steps, one above the other, as a holoviews layout.

    history: of a `fitting.Fit`, or the path of weights or card that `fitting.save` wrote.
    """
    import holoviews as hv

    from glacier_nb import maps

    if isinstance(history, str | os.PathLike):
        history = json.loads(pathlib.Path(history).with_suffix(".json").read_text())["history"]
    table = pd.DataFrame(list(history))
    house = {"xlabel": "Step (batches learnt from)", "frame_width": 560, "frame_height": 190, "show_grid": True}
    marks = {"what it learns from": maps.INK, "what it is watched on": maps.LATER}
    lines = [
        hv.Curve(table, "step", name).opts(color=colour, line_width=2)
        for name, colour in zip(("loss", "validation"), marks.values(), strict=True)
    ]
    hooks = [maps.dress, maps.key(marks)]
    views = [hv.Overlay(lines).opts(title="Loss", ylabel="Loss", hooks=hooks, show_legend=False, **house)]
    if "iou" in table and table["iou"].notna().any():
        score = hv.Curve(table.dropna(subset=["iou"]), "step", "iou").opts(color=maps.LATER, line_width=2)
        house |= {"title": "Score of the watched patches", "ylabel": "Mean IoU (0 to 1)", "ylim": (0, 1)}
        views.append(score.opts(hooks=[maps.dress], **house))
    return hv.Layout(views).cols(1)
