"""Splits that mean something: parts of the map, glaciers or dates that a model never saw, in a file with a hash.

Without a source, plain or ours: `write`, `read`, `within`, `part`.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

import geopandas as gpd
import numpy as np
import rasterio.features
import shapely
from odc.geo.geobox import GeoBox

from glacier_nb import labels, provenance
from glacier_nb.crs import metres
from glacier_nb.labels import Sample

ROLES = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Split:
    """Folds of places, or of whole scenes. Fold k is tested by the model that learnt without it and without the next.

    kind: "regional", "glacier", "time" or "group". folds: how many. members: glaciers (rgi_id), dates or groups, and
    their fold. crs, cells: of places, a (multi)polygon a fold as WKT; cells never overlap. Of scenes there are none.
    """

    kind: str
    folds: int
    members: Mapping[str, int]
    crs: str = ""
    cells: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Hash of all of it."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()

    def fold_of(self, role: str, fold: int) -> tuple[int, ...]:
        """Folds that play a role while `fold` is tested: validation is the next one, where there are three or more.

        ValueError: no such role or fold.

        >>> split = Split("group", 4, {})
        >>> [split.fold_of(role, 3) for role in ROLES]
        [(1, 2), (0,), (3,)]
        """
        if role not in ROLES or not 0 <= fold < self.folds:
            raise ValueError(f"role {role!r} of fold {fold}: one of {', '.join(ROLES)}, and 0 to {self.folds - 1}")
        watch = ((fold + 1) % self.folds,) if self.folds > 2 else ()
        if role != "train":
            return (fold,) if role == "test" else watch
        return tuple(k for k in range(self.folds) if k != fold and k not in watch)


def regional(outlines: gpd.GeoDataFrame, folds: int = 5, least: float = 1e5) -> Split:
    """Stripes from west to east that hold equal areas of glaciers, each glacier whole in one of them.

    outlines: rgi_id, geometry in a CRS of metres. Glaciers are taken in the order of their easternmost point, until a
    fold has its share of the area; where one reaches into the next stripe, that stripe is without it. least: m2, of a
    glacier. Diaconu et al. 2023 (Tackling Climate Change with Machine Learning at NeurIPS). ValueError: CRS, fewer
    glaciers than folds, or a fold without one.
    """
    found = _glaciers(outlines, folds, least)
    found = found.iloc[np.argsort(found.bounds["maxx"].to_numpy(), kind="stable")]
    before = (found.area.cumsum() - found.area / 2) / found.area.sum()
    fold = np.minimum((before * folds).astype(int).to_numpy(), folds - 1)
    _none_empty(fold, folds, "of regional folds")
    east = [found.bounds["maxx"].to_numpy()[fold == k].max() for k in range(folds)]
    west, south, last, north = found.total_bounds
    far = 1e6  # the outermost stripes run on: scenes may reach beyond the glaciers
    edges = [west - far, *east[:-1], last + far]
    own = [found.geometry[fold == k].union_all() for k in range(folds)]
    own = [own[k].difference(shapely.union_all(own[:k])) for k in range(folds)]  # inventories may overlap a little
    cells = []
    for k in range(folds):
        stripe = shapely.box(edges[k], south - far, edges[k + 1], north + far)
        others = shapely.union_all([own[j] for j in range(folds) if j != k])
        cells.append(stripe.difference(others).union(own[k]))
    return _placed("regional", found, fold, cells)


def by_glacier(outlines: gpd.GeoDataFrame, folds: int = 5, apart: float = 3000.0, least: float = 1e5) -> Split:
    """Glaciers drawn to folds of equal area; those less than `apart` metres from each other are in one fold.

    A fold's cell is the ground within half of `apart` of its glaciers, so patches about that size fit and no two cells
    meet. Groups go, the largest first, to the fold with the least area. ValueError as in `regional`, or where fewer
    groups than folds are left: take a smaller `apart`. Roberts et al. 2017.
    """
    found = _glaciers(outlines, folds, least)
    reach = found.geometry.buffer(apart / 2 * 0.999)  # less than half: cells do not even touch
    bodies = shapely.get_parts(reach.union_all())
    group = np.array([int(np.flatnonzero(shapely.intersects(bodies, shape))[0]) for shape in found.geometry])
    areas = np.bincount(group, found.area, len(bodies))
    if len(bodies) < folds:
        raise ValueError(
            f"{len(bodies)} groups of glaciers {apart:g} m apart, {folds} folds: a fold would be without glaciers;"
            " take a smaller apart= or fewer folds"
        )
    total, where = np.zeros(folds), np.zeros(len(bodies), int)
    for body in np.argsort(-areas, kind="stable"):
        where[body] = total.argmin()
        total[where[body]] += areas[body]
    cells = [shapely.union_all(bodies[where == k]) for k in range(folds)]
    return _placed("glacier", found, where[group], cells)


def by_time(samples: Sequence[Sample], folds: int = 3) -> Split:
    """Whole scenes in order of their dates, as many in each fold; all scenes of a date are in one. ValueError: no date.

    The ground is the same in all folds: such a split tells how a model carries over in time, not to another place.
    Roberts et al. 2017, doi:10.1111/ecog.02881.
    """
    return _scenes("time", [sample.time for sample in samples], [sample.name for sample in samples], folds)


def by_group(samples: Sequence[Sample], folds: int | None = None) -> Split:
    """Whole scenes by the glacier or region they show, all of one in one fold; None: leave one group out at a time.

    Roberts et al. 2017, doi:10.1111/ecog.02881. ValueError: a sample names no group, or a fold would be empty.
    """
    return _scenes("group", [sample.group for sample in samples], [sample.name for sample in samples], folds)


def _scenes(kind: str, keys: Sequence[str], names: Sequence[str], folds: int | None) -> Split:
    if lone := [name for key, name in zip(keys, names, strict=True) if not key]:
        raise ValueError(f"{lone[0]} has no {kind}: fill that field of its Sample")
    held, count = np.unique(keys, return_counts=True)
    folds = len(held) if folds is None else folds
    before = (count.cumsum() - count / 2) / count.sum()
    fold = np.arange(len(held)) if folds == len(held) else np.minimum((before * folds).astype(int), folds - 1)
    _none_empty(fold, folds, f"by {kind}")
    return Split(kind, folds, dict(zip(held.tolist(), fold.tolist(), strict=True)))


def _glaciers(outlines: gpd.GeoDataFrame, folds: int, least: float) -> gpd.GeoDataFrame:
    metres(outlines)
    if "rgi_id" not in outlines:
        raise ValueError("outlines without rgi_id: a split names each glacier's fold; add the column")
    found = outlines[outlines.area >= least].dissolve("rgi_id", as_index=False)
    if len(found) < folds or folds < 2:
        raise ValueError(
            f"{len(found)} glaciers of {least:g} m2 or more, {folds} folds: a fold would be without glaciers; take"
            " fewer folds (2 at least), a smaller least= or more outlines"
        )
    return found


def _none_empty(fold: np.ndarray, folds: int, what: str) -> None:
    if empty := sorted(set(range(folds)) - set(fold.tolist())):
        raise ValueError(f"fold {empty[0]} {what} would be without glaciers or scenes: take fewer folds")


def _placed(kind: str, found: gpd.GeoDataFrame, fold: np.ndarray, cells: Sequence[shapely.Geometry]) -> Split:
    members = dict(zip(found["rgi_id"].astype(str), fold.tolist(), strict=True))
    text = tuple(shapely.to_wkt(cell, rounding_precision=3) for cell in cells)
    return Split(kind, len(cells), members, found.crs.to_string(), text)


def write(split: Split, path: str | os.PathLike) -> pathlib.Path:
    """Keep a split as JSON with its hash."""
    return provenance.write(path, dataclasses.asdict(split) | {"sha256": split.sha256})


def read(path: str | os.PathLike) -> Split:
    """A split as it was written; ValueError where its hash is another: the file was changed."""
    facts = json.loads(pathlib.Path(path).read_text())
    told = facts.pop("sha256", "")
    split = Split(**{**facts, "cells": tuple(facts["cells"])})
    if split.sha256 != told:
        raise ValueError(
            f"{path}: sha256 {split.sha256[:12]} is not {told[:12]}: the split was changed after it was made"
        )
    return split


def within(split: Split, geobox: GeoBox, folds: Sequence[int]) -> np.ndarray:
    """(y, x) bool: pixels of a grid that lie wholly in the cells of these folds, so that grids of two scenes agree."""
    cells = gpd.GeoSeries([shapely.from_wkt(split.cells[k]) for k in folds], crs=split.crs)
    near = gpd.GeoSeries([shapely.box(*geobox.boundingbox.bbox)], crs=geobox.crs).buffer(1e4).to_crs(split.crs)
    cells = cells.intersection(near.union_all().envelope).to_crs(geobox.crs)
    shapes = [cell for cell in cells if not cell.is_empty]
    if not shapes:
        return np.zeros(tuple(geobox.shape), bool)
    draw = {"out_shape": tuple(geobox.shape), "transform": geobox.affine, "dtype": "uint8"}
    edges = rasterio.features.rasterize([cell.boundary for cell in shapes], all_touched=True, **draw)
    return (rasterio.features.rasterize(shapes, **draw) > 0) & (edges == 0)


def part(split: Split, samples: Sequence[Sample], fold: int, role: str, patch: int = 1) -> list[Sample]:
    """Samples of a role while `fold` is tested: whole scenes, or with `within` where a place is split.

    Truth outside is unknown. patch: pixels; a scene whose part holds no such patch is left out. ValueError: none is
    left, or a scene has no grid or is of no member.
    """
    folds, found = split.fold_of(role, fold), []
    for sample in samples:
        if split.cells:
            if sample.geobox is None:
                raise ValueError(f"{sample.name} has no geobox: a split of places needs its grid")
            inside = within(split, sample.geobox, folds)
            if sample.within is not None:
                inside &= np.asarray(sample.within)
            if _holds(inside, patch):
                truth = np.where(inside, np.asarray(sample.truth), np.uint8(labels.UNSEEN))
                found.append(dataclasses.replace(sample, within=inside, truth=truth))
            continue
        key = getattr(sample, split.kind)
        if key not in split.members:
            raise ValueError(f"{sample.name}: {split.kind} {key!r} is in no fold of this split: make it of all samples")
        found += [sample] if split.members[key] in folds else []
    if folds and not found:
        raise ValueError(
            f"fold {fold}: no scene for {role} holds a patch of {patch} pixels: take a smaller patch or fewer folds"
        )
    return found


def _holds(inside: np.ndarray, patch: int) -> bool:
    """Whether a square of `patch` pixels fits."""
    if min(inside.shape) < patch or not inside.any():
        return False
    total = np.pad(inside, ((1, 0), (1, 0))).cumsum(0, dtype="int64").cumsum(1)
    sums = total[patch:, patch:] - total[:-patch, patch:] - total[patch:, :-patch] + total[:-patch, :-patch]
    return bool((sums == patch * patch).any())
