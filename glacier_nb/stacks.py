"""A stack of scenes, decided but not read: what a cube is lazily made of, and a composite reads scene by scene."""

import dataclasses
import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import dask.array as da
import numpy as np
import odc.geo.geom
import odc.geo.xr
import odc.stac
import pystac
import xarray as xr
from odc.geo.geobox import GeoBox

from glacier_nb import reads
from glacier_nb.sensors import Sensor


@dataclass(frozen=True)
class Stack:
    """Scenes of one sensor on one grid, ready to be read anywhere: it travels whole to a worker."""

    scenes: tuple[tuple[pystac.Item, ...], ...]
    """The items of each time, by time; each holds what its reader needs."""
    row: Sensor
    names: tuple[str, ...]
    """Bands, by common name."""
    masks: tuple[str, ...]
    """Quality layers."""
    geobox: GeoBox
    bands: dict[str, reads.Read]
    """Type and fill of bands and quality layers."""
    gdal: dict[str, str]
    how: reads.How
    attrs: dict
    """Of what is read: sensor, provider, collection, reads, manifest."""

    @property
    def times(self) -> np.ndarray:
        """When each scene was taken (UTC, datetime64)."""
        first = [min(item.datetime for item in scene).replace(tzinfo=None) for scene in self.scenes]
        return np.array(first, "datetime64[ns]")

    @property
    def ids(self) -> list[str]:
        """Ids of each scene's items."""
        return [",".join(sorted(item.id for item in scene)) for scene in self.scenes]

    def only(self, chosen: Sequence[int], geobox: GeoBox | None = None) -> "Stack":
        """Some of the scenes, by number, or a part of the grid."""
        scenes = tuple(self.scenes[number] for number in chosen)
        return dataclasses.replace(self, scenes=scenes, geobox=geobox or self.geobox)

    def touching(self, geobox: GeoBox) -> list[int]:
        """Numbers of the scenes whose footprint touches a part of the grid."""
        outline = geobox.extent.to_crs("EPSG:4326")
        places = [[odc.geo.geom.Geometry(item.geometry, "EPSG:4326") for item in scene] for scene in self.scenes]
        return [number for number, some in enumerate(places) if any(place.intersects(outline) for place in some)]

    def read(self, chunks: dict[str, int] | None = None) -> xr.Dataset:
        """The Dataset that `load.cube` describes: lazy in `chunks`, or read here and now where there are none."""
        number = {item.id: number for number, scene in enumerate(self.scenes) for item in scene}
        report = self.how.missing == "report"
        ds = odc.stac.load(
            [item for scene in self.scenes for item in scene],
            bands=[*self.names, *self.masks],
            geobox=self.geobox,
            groupby=lambda item, parsed, index: number[item.id],
            chunks=chunks,
            resampling={band.name: band.resampling for band in self.row.bands} | dict.fromkeys(self.masks, "nearest"),
            driver=reads.Driver(self.gdal, self.bands, self.how),
            fuse_func=dict.fromkeys(self.names, "glacier_nb.reads.fuse") if report else None,
        )
        ds = ds.assign_coords(item=("time", self.ids))
        ds["clear"] = _clear(ds, self.row, list(self.names), self.scenes)
        if report:
            ds["lost"] = _lost(ds, self.names, self.masks)
            ds["clear"] &= ~ds.lost
        ds = ds.drop_vars(self.masks)
        for band in self.row.bands:
            if band.name in self.names:
                ds[band.name].attrs = {"units": band.units, "long_name": f"{self.row.title}: {band.name}"}
        ds.attrs = dict(self.attrs)
        return ds


def _clear(ds: xr.Dataset, row: Sensor, names: list[str], groups: Sequence[Sequence[pystac.Item]]) -> xr.DataArray:
    """Where a pixel was seen and its quality layers say nothing against it (bool, time, y, x)."""

    def given(name: str) -> xr.DataArray:  # at which times a layer exists at all
        return xr.DataArray([any(name in item.assets for item in group) for group in groups], dims="time")

    values = [band.name for band in row.bands if band.name in names and band.units != "K"] or names
    if row.radar:
        clear = sum(ds[name].notnull() for name in values) > 0
    else:
        clear = xr.ones_like(ds[values[0]], dtype=bool)
        for name in values:
            clear &= ds[name].notnull() | ~given(name)
    for number, mask in enumerate(row.masks):
        if (name := f"mask{number}") in ds:
            bits = sum(1 << bit for bit in mask.bits)
            bad = ds[name].isin(mask.values) if mask.values else (ds[name] & np.array(bits, mask.dtype)) != 0
            clear &= ~(bad & given(name))
    return clear.assign_attrs(units="1", long_name="seen and clear")


def _lost(ds: xr.Dataset, names: Sequence[str], masks: Sequence[str]) -> xr.DataArray:
    """Where a window of any layer was lost (bool, time, y, x)."""
    marks = []
    for name in names:
        data = ds[name].data
        marks.append(data.map_blocks(reads.lost, dtype=bool) if isinstance(data, da.Array) else reads.lost(data))
    marks += [ds[name].data == np.iinfo(ds[name].dtype).max for name in masks]
    grid = ds[names[0]].copy(data=functools.reduce(operator.or_, marks))
    grid.attrs = {"units": "1", "long_name": "lost: a read of it failed"}
    return grid
