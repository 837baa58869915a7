"""Whether features fit a system and its weights: channels, units and pixel size refused, a strange scene told."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from glacier_nb import features, uncertainty
from glacier_nb.recipes import System
from glacier_nb.weights import Weights

COARSER = 1.5
"""How far the pixel may be from the one of the training: textures and sizes of another scale are another world."""

STRANGE = 1.0
"""Distance from the training (see `uncertainty.out_of_domain`) from which a product carries a warning."""


def layers(stack: xr.DataArray, system: System, row: Weights | None) -> tuple[xr.DataArray, list[str]]:
    """The system's inputs in channel order, NaN for optional ones that are not there, and the names of those.

    LookupError: an input is missing. ValueError: wrong dimensions, unnamed channels of another number, weights of
    another system or of other channels, a unit that is not the feature's, a pixel of another size than the training's.
    """
    if not isinstance(stack, xr.DataArray):
        raise ValueError(f"features are a bare {type(stack).__name__}: give one date of features.stack(...)")
    if stack.dims != ("feature", "y", "x"):
        raise ValueError(f"features have dims {stack.dims}, not (feature, y, x): give one date of features.stack(...)")
    if row is not None and row.system not in ("", system.name):
        raise ValueError(f"weights {row.name} were trained for {row.system}, not {system.name}")
    if row is not None and row.inputs and row.inputs != system.inputs:
        raise ValueError(
            f"weights {row.name} take {', '.join(row.inputs)}; {system.name} gives {', '.join(system.inputs)}"
        )
    wanted = list(system.inputs)
    if "feature" not in stack.coords:
        if stack.sizes["feature"] != len(wanted):
            raise ValueError(
                f"{stack.sizes['feature']} unnamed channels, {system.name} takes {len(wanted)}: "
                f"{', '.join(wanted)}; name them in the coordinate feature"
            )
        return stack.assign_coords(feature=wanted), []
    there = stack.feature.values.tolist()
    if twice := sorted({name for name in there if there.count(name) > 1}):
        raise ValueError(f"features name {', '.join(twice)} twice: give each channel once")
    missing = [name for name in wanted if name not in there]
    needed = [name for name in missing if name not in system.optional]
    if needed:
        raise LookupError(
            f"{system.name} needs {', '.join(needed)}; the features hold {', '.join(sorted(there))}:"
            " add it to the scene and to features.stack"
        )
    _units(stack, [name for name in wanted if name not in missing])
    _resolution(stack, row)
    return (stack if there == wanted else stack.reindex(feature=wanted)), missing


def days(stacks: Sequence[xr.DataArray], system: System) -> tuple[float, ...]:
    """Days since 1970 of the dates of a series (feature, y, x) that a system takes at once; () for one that takes none.

    ValueError: several dates for a system that does not take them, no date, one without time, or of another grid.
    """
    if not stacks:
        raise ValueError(f"no date for {system.name}: give the features of one or more")
    if not system.series:
        if len(stacks) > 1:
            raise ValueError(f"{system.name} takes one date: predict each by itself, or take a system of series")
        return ()
    if len(stacks) == 1:
        return (0.0,)
    for stack in stacks:
        if not stack.attrs.get("time"):
            raise ValueError("a date of the series tells no time: set attrs['time'] of its features to an ISO date")
        if any(not stack[name].equals(stacks[0][name]) for name in ("y", "x")):
            one, other = stacks[0].attrs["time"], stack.attrs["time"]
            raise ValueError(f"{one} and {other} lie on different grids: load all dates of a series on one GeoBox")
    when = pd.DatetimeIndex([pd.Timestamp(stack.attrs["time"]).tz_localize(None) for stack in stacks])
    return tuple(((when - pd.Timestamp(0)) / pd.Timedelta(days=1)).tolist())


def _units(stack: xr.DataArray, names: Sequence[str]) -> None:
    """Refuse a channel whose unit, where the stack says it, is not that of `features.FEATURES`."""
    said, known = stack.attrs.get("feature_units", {}), {one.name: one.units for one in features.FEATURES}
    for name in names:
        if name in said and name in known and said[name] != known[name]:
            raise ValueError(
                f"{name} is in {said[name]}, and in {known[name]} for the network: convert it, or let features.stack"
            )


def _resolution(stack: xr.DataArray, row: Weights | None) -> None:
    """Refuse a pixel of another size than the training's, where both are known."""
    geobox = stack.odc.geobox if {"y", "x"} <= set(stack.coords) else None
    if row is None or row.resolution is None or geobox is None or geobox.crs is None or not geobox.crs.projected:
        return
    pixel = abs(float(geobox.resolution.x))
    if not 1 / COARSER < pixel / row.resolution < COARSER:
        raise ValueError(
            f"weights {row.name} learnt from pixels of {row.resolution:g} m, these are {pixel:g} m:"
            f" load the scene at {row.resolution:g} m (regions.geobox(place, {row.resolution:g}))"
        )


class Domain:
    """Sums of each channel over what was seen, block by block; at the end how far that lies from the training.

    mean, std: the normalisation of each channel, in which the sums are taken. The training's statistics are those on
    the card of the weights; without a card nothing is said.
    """

    def __init__(self, names: Sequence[str], mean: Sequence[float], std: Sequence[float], row: Weights | None):
        card = dict(row.card) if row is not None else {}
        training = zip(names, card.get("mean", ()), card.get("std", ()), mean, std, strict=False)
        self.training = {
            name: {"mean": (middle - shift) / scale, "std": spread / scale}
            for name, middle, spread, shift, scale in training
        }
        self.names, self.weights = list(names), row
        self.sums = np.zeros((3, len(self.names)))

    def add(self, sums: np.ndarray) -> None:
        """Count, sum and sum of squares (3, channel) of a block's normalised channels."""
        self.sums += sums

    def told(self) -> dict[str, str | float]:
        """attrs: `domain_distance`, and `warning` where it is past `STRANGE`; the warning is given too."""
        count, total, square = self.sums
        known = [k for k, name in enumerate(self.names) if count[k] and name in self.training]
        if not known:
            return {}
        scene = {}
        for k in known:
            mean = total[k] / count[k]
            scene[self.names[k]] = {"mean": mean, "std": float(np.sqrt(max(0.0, square[k] / count[k] - mean**2)))}
        distance = uncertainty.out_of_domain(scene, {name: self.training[name] for name in scene})
        attrs: dict[str, str | float] = {"domain_distance": round(float(distance["all"]), 3)}
        if distance["all"] > STRANGE:
            worst = distance.drop("all").sort_values(ascending=False).head(3)
            attrs["warning"] = (
                f"unlike the training of {self.weights.name}: {distance['all']:.1f} standard deviations away"
                f" ({', '.join(f'{name} {value:.1f}' for name, value in worst.items())}); doubt this map"
            )
            warnings.warn(attrs["warning"], stacklevel=2)
        return attrs
