"""A product on disk: a Zarr or GeoTIFF written chunk by chunk in constant memory, that a killed run goes on with."""

import contextlib
import itertools
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence

import dask.array
import numpy as np
import odc.geo.xr  # noqa: F401  registers .odc.geobox
import rasterio
import rasterio.shutil
import rioxarray
import xarray as xr
import zarr

from glacier_nb import provenance
from glacier_nb.windows import Block

UNSEEN = 255
STEP = 0.004
"""What one count of a uint8 probability is worth: 0 to 1 in 250 counts, 255 unseen."""

DTYPES = {
    "float32": {"dtype": "float32", "_FillValue": np.float32("nan"), "fill_value": np.float32("nan")},
    "float16": {"dtype": "float16", "_FillValue": np.float16("nan"), "fill_value": np.float16("nan")},
    "uint8": {"dtype": "uint8", "_FillValue": UNSEEN, "fill_value": UNSEEN, "scale_factor": STEP},
    "zone": {"dtype": "uint8", "_FillValue": UNSEEN, "fill_value": UNSEEN},
}
"""How a probability is stored; `zone` keeps the number of the likeliest zone alone."""


class Store:
    """A product on disk: written chunk by chunk to a Zarr beside its place, which it takes when all is done.

    out: .zarr, or .tif (a COG). like: an array of the product's dims and coordinates, of no data. job: what must be the
    same for a run that goes on. names: the variables, each of `scores` layers. ValueError: another suffix or dtype, or
    an unfinished run of another job.
    """

    def __init__(
        self, out: str | os.PathLike, like: xr.DataArray, names: Sequence[str], dtype: str, chunks: tuple, job: Mapping
    ):
        self.out, self.dtype, self.names, self.like = pathlib.Path(out), dtype, tuple(names), like
        if self.out.suffix not in (".zarr", ".tif"):
            raise ValueError(f"{self.out.name} is neither .zarr nor .tif: name the product so")
        if dtype not in DTYPES:
            raise ValueError(f"dtype {dtype!r}: one of {', '.join(DTYPES)}")
        self.folder = self.out.with_name(f".{self.out.name}-unfinished")
        self.sums, self.zarr, self.journal = (self.folder / part for part in ("sums", "product.zarr", "written"))
        known = self.folder / "job.json"
        job = json.loads(json.dumps(job, default=str))
        if known.exists() and (found := json.loads(known.read_text())) != job:
            differ = [f"{key} {found.get(key)} -> {job.get(key)}" for key in job if found.get(key) != job.get(key)]
            raise ValueError(
                f"{self.out.name} was begun with other settings ({'; '.join(differ)[:200]}): take those again,"
                f" another out=, or delete {self.folder}"
            )
        if not known.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.sums.mkdir(parents=True)
            self._create(chunks)
            with provenance.whole(known) as temporary:  # as it is, to be held against the next one; it is not kept
                temporary.write_text(json.dumps(job, indent=1))
        group = zarr.open_group(self.zarr, mode="r+", use_consolidated=False)
        self.arrays = [group[name] for name in self.names]

    def written(self) -> set[int]:
        """Numbers of the blocks whose chunk is written."""
        text = self.journal.read_text() if self.journal.exists() else ""
        return {int(line) for line in text.split("\n")[:-1]}

    def write(self, block: Block, chunk: np.ndarray) -> None:
        """Store one finished chunk, then say so in the journal."""
        parts = np.split(chunk, len(self.names))
        for array, values in zip(self.arrays, parts, strict=True):
            array[(..., *block.owned)] = encoded(values, self.dtype)
        with open(self.journal, "a") as file:
            file.write(f"{block.number}\n")

    def finish(self, attrs: Mapping) -> None:
        """Give the product its attributes and its place."""
        told = json.loads(json.dumps(dict(attrs), default=str))
        self.arrays[0].attrs.update(told)
        if self.out.suffix == ".zarr":
            if self.out.exists():
                os.replace(self.out, self.folder / "replaced")
            os.replace(self.zarr, self.out)
        else:
            self._geotiff(told)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _create(self, chunks: tuple) -> None:
        """The Zarr with everything but the data."""
        dims = ("y", "x") if self.dtype == "zone" else self.like.dims
        coords = {name: coord for name, coord in self.like.coords.items() if name in dims or not coord.dims}
        if "zone" in coords:
            coords["zone"] = ("zone", self.like.zone.values.astype(object))  # Zarr 3 knows strings of any length only
        shape = self.like.shape[-len(dims) :]
        chunks = (*self.like.shape[:-2], *chunks)[-len(dims) :]
        empty = dask.array.empty(shape, chunks=chunks, dtype="float32")
        empty = xr.Dataset(dict.fromkeys(self.names, (dims, empty)), coords)
        encoding = {name: {"chunks": chunks, **DTYPES[self.dtype]} for name in self.names}
        empty.to_zarr(self.zarr, mode="w", compute=False, consolidated=False, zarr_format=3, encoding=encoding)

    def _geotiff(self, attrs: Mapping) -> None:
        """The product as one COG."""

        def read(place: tuple[slice, slice]) -> np.ndarray:
            parts = [array[(..., *place)] for array in self.arrays]
            return np.concatenate([part.reshape(-1, *part.shape[-2:]) for part in parts])

        with provenance.whole(self.out) as temporary:
            _cog(temporary, self.folder / "product.tif", self.like, self.names, self.dtype, attrs, read)


def write(found: xr.DataArray, out: str | os.PathLike, dtype: str = "float16") -> pathlib.Path:
    """Probabilities in memory (zone, y, x) as the COG that `predict.zones(out=...)` makes, whole or not at all.

    Zones and attributes stand in it, and the coordinate `spread` where there is one: `opened` gives all of them back.
    dtype: float32, float16 or uint8. Returns the path.
    """
    out = pathlib.Path(out)
    layers = {found.name or "zones": found} | ({"spread": found.spread} if "spread" in found.coords else {})

    def read(place: tuple[slice, slice]) -> np.ndarray:
        parts = [layer.transpose("zone", "y", "x")[:, *place].values for layer in layers.values()]
        return encoded(np.concatenate(parts), dtype)

    with provenance.whole(out) as temporary, tempfile.TemporaryDirectory() as folder:
        _cog(temporary, pathlib.Path(folder) / "product.tif", found, list(layers), dtype, found.attrs, read)
    return out


def _cog(
    out: pathlib.Path,
    plain: pathlib.Path,
    like: xr.DataArray,
    names: Sequence[str],
    dtype: str,
    attrs: Mapping,
    read: Callable[[tuple[slice, slice]], np.ndarray],
) -> None:
    """A tiled GeoTIFF, `plain`, window by window, then one COG copy: a COG itself cannot be written so.

    like: the zones and the grid. read: encoded values (layer, y, x) of a window, those of all `names` after each other.
    """
    box = like.odc.geobox
    several = dtype != "zone" and len(names) * like.sizes["zone"] > 1
    zones = [str(zone) for zone in like.zone.values] if several else [""]
    half = {"nbits": 16} if dtype == "float16" else {}
    kind = "float32" if half else DTYPES[dtype]["dtype"]
    profile = {"driver": "GTiff", "tiled": True, "blockxsize": 512, "blockysize": 512, "bigtiff": "if_safer"}
    profile |= {"count": len(names) * len(zones), "dtype": kind, "height": box.shape[0], "width": box.shape[1], **half}
    profile |= {"crs": str(box.crs) if box.crs else None, "transform": box.affine}
    profile["nodata"] = np.nan if kind == "float32" else UNSEEN
    with rasterio.Env(GDAL_CACHEMAX=64 * 2**20):
        with rasterio.open(plain, "w", **profile) as file:
            file.update_tags(**{key: json.dumps(value, default=str) for key, value in attrs.items()})
            file.descriptions = tuple(f"{name} {zone}".strip() for name in names for zone in zones)
            if dtype == "uint8":
                file.scales = (STEP,) * len(file.descriptions)
            for y, x in itertools.product(*(range(0, size, 512) for size in box.shape)):
                place = (slice(y, min(y + 512, box.shape[0])), slice(x, min(x + 512, box.shape[1])))
                file.write(read(place).astype(kind), window=((y, place[0].stop), (x, place[1].stop)))
        options = {"compress": "deflate", "predictor": "yes", "overview_resampling": "nearest", **half}
        rasterio.shutil.copy(plain, out, driver="COG", bigtiff="if_safer", **options)


def encoded(values: np.ndarray, dtype: str) -> np.ndarray:
    """Probabilities (score, y, x) as they are stored.

    >>> encoded(np.array([[[0.2, np.nan]], [[0.8, np.nan]]]), "zone").tolist()
    [[1, 255]]
    >>> encoded(np.array([0.5, np.nan]), "uint8").tolist()
    [125, 255]
    """
    unseen = np.isnan(values)
    if dtype == "zone":
        return np.where(unseen.any(axis=0), UNSEEN, np.where(unseen, -1, values).argmax(axis=0)).astype("uint8")
    if dtype == "uint8":
        return np.where(unseen, UNSEEN, np.rint(np.where(unseen, 0, values).clip(0, 1) / STEP)).astype("uint8")
    return values.astype(dtype)


def opened(out: str | os.PathLike) -> xr.DataArray:
    """A finished product, lazy: probabilities (zone, y, x) float, or the likeliest zone (y, x); NaN where unseen.

    What is stored as `spread` comes back as a coordinate of that name.
    """
    out = pathlib.Path(out)
    if out.suffix == ".zarr":
        found = xr.open_zarr(out, consolidated=False, chunks={})
        names = [name for name in found.data_vars if name != "spread"]
        values = found[names[0]]
        spread = found.get("spread")
    else:
        file = rioxarray.open_rasterio(out, chunks={"x": 512, "y": 512}, masked=True, mask_and_scale=True)
        with rasterio.open(out) as source:
            attrs = {}
            for key, value in source.tags().items():
                with contextlib.suppress(ValueError):
                    attrs[key] = json.loads(value)
            told = [text.partition(" ")[::2] for text in source.descriptions]
        values, spread = (
            file.isel(band=[k for k, (first, _) in enumerate(told) if (first == "spread") == wanted])
            .rename(band="zone")
            .assign_coords(zone=[zone for first, zone in told if (first == "spread") == wanted])
            for wanted in (False, True)
        )
        values = values.rename(told[0][0]).assign_attrs(attrs)
        values = values.isel(zone=0, drop=True) if told[0][1] == "" else values
        spread = spread if spread.sizes["zone"] else None
    if values.dtype == "float64":
        values = values.astype("float32")
    if spread is not None:
        values = values.assign_coords(spread=(values.dims, spread.astype(values.dtype).data))
    return values
