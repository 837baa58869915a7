"""Zone maps as small pictures in text, for the tests of steps that clean them."""

import numpy as np
import odc.geo.xr
import xarray as xr
from odc.geo.geobox import GeoBox

NAMES = ("rock", "glacier", "lake")
LETTERS = {"r": 0, "g": 1, "l": 2}


def draw(text: str, sure: float = 0.8, resolution: float = 10.0, crs: str = "EPSG:32645") -> xr.DataArray:
    """Zones from a picture: r rock, g glacier, l lake, . unseen; the drawn zone has probability `sure`."""
    rows = text.split()
    values = np.full((3, len(rows), len(rows[0])), (1 - sure) / 2, dtype="float32")
    for y, row in enumerate(rows):
        for x, letter in enumerate(row):
            if letter == ".":
                values[:, y, x] = np.nan
            else:
                values[LETTERS[letter], y, x] = sure
    height, width = values.shape[1:]
    box = GeoBox.from_bbox((0, 0, width * resolution, height * resolution), crs, resolution=resolution)
    return odc.geo.xr.wrap_xr(values, box, axis=1, dims=("zone", "y", "x")).assign_coords(zone=list(NAMES))


def picture(zones: xr.DataArray) -> str:
    """What `draw` would need to draw these zones' most probable ones."""
    values = zones.values
    best = np.where(np.isnan(values[0]), 3, np.nan_to_num(values).argmax(axis=0))
    return " ".join("".join("rgl."[k] for k in row) for row in best)


def one(text: str) -> str:
    """A drawing on one line."""
    return " ".join(text.split())


def layers(zones: xr.DataArray, **named: np.ndarray) -> xr.DataArray:
    """Features on the grid of `zones`, by name."""
    values = np.stack([np.broadcast_to(layer, zones.shape[1:]) for layer in named.values()]).astype("float32")
    coords = {"feature": list(named), **odc.geo.xr.xr_coords(zones.odc.geobox)}
    return xr.DataArray(values, coords, ("feature", "y", "x"))


def letters(text: str, **worth: float) -> np.ndarray:
    """A layer from a picture: each letter's worth; "_" for a dot, NaN where not named.

    >>> letters("ab ba", a=1, b=2).tolist()
    [[1.0, 2.0], [2.0, 1.0]]
    """
    known = {("." if letter == "_" else letter): value for letter, value in worth.items()}
    return np.array([[known.get(letter, np.nan) for letter in row] for row in text.split()], dtype=float)
