"""One window of one asset: tried again where that may help, made physical; a failure by name, a loss on record."""

import contextlib
import functools
import os
import time
import warnings
from dataclasses import asdict, dataclass, replace
from urllib.parse import quote, urlsplit

import numpy as np
import pystac
import rasterio
import rasterio.enums
import rasterio.errors
import rasterio.session
import rasterio.warp
from odc.geo.geobox import GeoBox
from odc.geo.overlap import compute_reproject_roi
from odc.loader import RasterBandMetadata, RasterGroupMetadata, RioDriver, RioReader
from rasterio.windows import Window

from glacier_nb import ledger, ranges, remote
from glacier_nb.ledger import KEY, ReadError, ReadReport, computed, loaded, report, settle
from glacier_nb.ranges import Patience
from glacier_nb.remote import GDAL, clean

# odc.loader warps into an array that rasterio wraps as a file without a place: nothing is wrong with the image
warnings.filterwarnings(
    "ignore", "Dataset has no geotransform", rasterio.errors.NotGeoreferencedWarning, "rasterio.warp"
)

__all__ = (
    "GDAL",
    "KEY",
    "Driver",
    "Patience",
    "Read",
    "ReadError",
    "ReadReport",
    "Reader",
    "address",
    "computed",
    "loaded",
    "overview",
    "report",
    "settle",
)

# what odc.loader gives where the caller set nothing: its ten doubling delays are minutes before an error is seen
_UNCHOSEN = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": "10",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
}

_STORES = ("AWS_", "AZURE_", "GOOGLE_", "GS_", "OSS_", "SWIFT_")
"""How variables of the environment begin that say who reads from a store."""

HELD = "glacier_nb:read"
"""Extra field under which an asset carries its `Read`."""

LOST = np.uint32(0x7FC0A51D)
"""Bits of the NaN that stands where a window was lost; any other NaN is no data. Lost quality layers are all ones."""


@dataclass(frozen=True)
class Read:
    """What a reader must know of an asset: physical = (stored x scale + offset) ** power."""

    item: str
    asset: str
    dtype: str = "float32"
    """float32 for a physical value, an integer type for a quality layer, which stays as stored."""
    fill: float = np.nan
    """Value where there is no data."""
    nodata: float | None = None
    """Stored value that means no data where the file does not say."""
    scale: float = 1.0
    offset: float = 0.0
    power: int = 1
    zeros: bool = True
    """Whether a stored zero is a value (radar products fill with zeros beside their own no-data value)."""
    tied: bool = False
    """Whether the file may be in radar geometry, placed by ground control points."""
    index: int = 1
    """Number of the band in its file, from 1."""


@dataclass(frozen=True)
class How:
    """How a cube's reads are tried, and what becomes of one that fails."""

    cube: str
    """Key of the cube's rows in the ledger."""
    patience: Patience
    missing: str = "raise"
    """"raise", or "report": no data, and a row."""


class Driver(RioDriver):
    """odc.loader's rasterio driver with our settings and reader; it travels to the workers inside the graph."""

    def __init__(self, gdal: dict[str, str], bands: dict[str, Read], how: How) -> None:
        super().__init__(md_parser=_Metadata(bands))
        self.gdal, self.how = remote.settings(gdal, how.patience), how

    def capture_env(self) -> dict:
        """GDAL settings for the workers. The cube's key among them keeps apart what two cubes read."""
        chosen = super().capture_env()
        gdal = self.gdal if chosen == _UNCHOSEN else {**self.gdal, **chosen}
        return {**gdal, "GLACIER_NB_READS": self.how.cube}

    def restore_env(self, env: dict, load_state) -> contextlib.AbstractContextManager:
        """GDAL as it was captured, with the keys of the environment as it is now, not at a thread's first read."""
        told = tuple(sorted((name, text) for name, text in os.environ.items() if name.startswith(_STORES)))
        return super().restore_env({**env, "_aws": env.get("_aws") or _keys(told)}, load_state)

    def open(self, src, ctx) -> "Reader":
        """Reader of one asset."""
        return Reader(src, ctx, self.how)


@functools.lru_cache(4)
def _keys(told: tuple[tuple[str, str], ...]) -> rasterio.session.Session:
    """The session that the environment asks for, made once: that takes longer than a read."""
    return rasterio.Env().session


class Reader:
    """Windows of one asset. Each item's own scale and offset apply here, before anything is merged."""

    def __init__(self, src, ctx, how: How) -> None:
        self.src, self.ctx, self.how, self.held = src, ctx, how, Read(**src.driver_data)

    def read(self, cfg, dst_geobox: GeoBox, *, dst: np.ndarray | None = None, selection=None) -> tuple:
        """Pixels on `dst_geobox` and where they lie in it.

        ReadError names item and asset; with missing="report" a lost window comes back marked (`LOST`).
        """
        held, begun = self.held, time.monotonic()
        cfg = cfg.patch(src_nodata_fallback=held.nodata)

        def read(path: str) -> tuple:
            found = _by_tie_points(path, cfg.resampling, dst_geobox, held.nodata) if held.tied else None
            return found or RioReader(replace(self.src, uri=path, band=held.index), self.ctx).read(
                cfg, dst_geobox, selection=selection
            )

        tally = ranges.Tally()
        try:
            roi, pixels = remote.tried(self.src.uri, read, self.how.patience, tally)
            if pixels.dtype.kind == "f":
                pixels = physical(pixels, held)
            error = None
        except OSError as failed:
            error = failed
        if error or tally.retries:
            said = clean(error) if error else ""
            bounds = " ".join(f"{edge:.10g}" for edge in dst_geobox.boundingbox)
            seconds = round(time.monotonic() - begun, 3)
            crs = f"EPSG:{code}" if (code := dst_geobox.crs.epsg) else dst_geobox.crs  # not a page of WKT
            row = ReadReport(held.item, held.asset, f"{crs} {bounds}", tally.retries + 1, seconds, said)
            ledger.note(self.how.cube, row)
        if error:
            if self.how.missing == "raise":
                raise ReadError(failure(held.item, held.asset, error), tuple(ledger.rows(self.how.cube))) from None
            roi, pixels = self._lost(cfg, dst_geobox)
        if dst is None:
            return roi, pixels
        dst[roi] = pixels
        return roi, dst[roi]

    def _lost(self, cfg, dst_geobox: GeoBox) -> tuple:
        """Marks where the asset would have lain."""
        roi = np.s_[0 : dst_geobox.shape[0], 0 : dst_geobox.shape[1]]
        if isinstance(self.src.geobox, GeoBox):
            roi = compute_reproject_roi(self.src.geobox, dst_geobox).roi_dst
        shape = tuple(len(range(*side.indices(size))) for side, size in zip(roi, dst_geobox.shape, strict=True))
        dtype = np.dtype(cfg.dtype)
        if dtype.kind == "f":
            return roi, np.full(shape, LOST).view("float32").astype(dtype, copy=False)
        return roi, np.full(shape, np.iinfo(dtype).max, dtype)


def lost(values: np.ndarray) -> np.ndarray:
    """Where float32 `values` carry the mark of a lost window (bool).

    >>> lost(np.array([LOST, 0x7FC00000, 0x3F800000], "uint32").view("float32")).tolist()
    [True, False, False]
    """
    return values.view("uint32") == LOST


def fuse(below: np.ndarray, above: np.ndarray) -> None:
    """Fill what is missing in `below` from the next image of the same day; a loss stays a loss, unless seen there."""
    missing = np.isnan(below)
    np.copyto(below, above, where=missing & (~np.isnan(above) | lost(above)))


def physical(stored: np.ndarray, held: Read) -> np.ndarray:
    """Physical values (float32) of stored ones, in place; NaN stays NaN.

    >>> np.round(physical(np.float32([[2000, 11000]]), Read("item", "B04", scale=1e-4, offset=-0.1)) * 10).tolist()
    [[1.0, 10.0]]
    """
    if not held.zeros:
        stored[stored == 0] = np.nan
    stored *= np.float32(held.scale)
    stored += np.float32(held.offset)
    return stored if held.power == 1 else stored**held.power


def address(href: str, collection: str | None, signed: tuple[str, ...] = ()) -> str:
    """`href` as it is opened: in GDAL's form for "sign at each read" where its host ends as in `signed`.

    No token is in it, so that none can expire or leak (GDAL's vsicurl option `pc_url_signing`; see `ranges.fetch`).
    """
    if not (urlsplit(href).hostname or "").endswith(signed or ("\0",)):
        return href
    return f"/vsicurl?pc_url_signing=yes&pc_collection={collection}&url={quote(href, safe='')}"


def overview(
    item: pystac.Item, name: str, gdal: dict[str, str], patience: Patience | None = None, size: int = 256
) -> np.ndarray:
    """Stored values of an asset at `size` pixels a side at most, no-data left out (1-D).

    Of a large file without overviews the middle, at full resolution. ReadError names item and asset.
    """
    held, patience = of(item.assets[name]), patience or Patience.here()

    def read(path: str) -> tuple:
        with rasterio.open(path) as src:
            shrink = max(1, -(-max(src.shape) // size))
            shape, window = tuple(-(-n // shrink) for n in src.shape), None
            if shrink > 8 and not src.overviews(held.index):
                corner = [(n - min(n, size)) // 2 for n in src.shape]
                shape = tuple(min(n, size) for n in src.shape)
                window = Window(corner[1], corner[0], shape[1], shape[0])
            stored = src.read(held.index, out_shape=shape, window=window)
            return stored, src.nodata

    try:
        with rasterio.Env(**remote.settings(gdal, patience)):
            stored, nodata = remote.tried(item.assets[name].href, read, patience, ranges.Tally())
    except OSError as error:
        raise ReadError(failure(held.item, held.asset, error)) from None
    unseen = [value for value in (nodata, held.nodata) if value is not None]
    return stored[~np.isin(stored, unseen)]


def failure(item: str, asset: str, error: Exception) -> str:
    """One line for a failed read: which one, why, and what next; query strings, which may hold tokens, are cut."""
    return f"cannot read {asset} of {item}: {clean(error)}; try again, or leave this item out"


def fields(read: Read) -> dict:
    """The extra field an asset carries for the reader."""
    return {HELD: asdict(read)}


def of(asset: pystac.Asset) -> Read:
    """What an asset carries for the reader."""
    return Read(**asset.extra_fields[HELD])


class _Metadata:
    """Tells odc.stac which bands there are, whether or not an item has them all (its MDParser protocol)."""

    def __init__(self, bands: dict[str, Read]) -> None:
        self.bands = {(name, 1): RasterBandMetadata(band.dtype, band.fill) for name, band in bands.items()}

    def extract(self, md: pystac.Item) -> RasterGroupMetadata:
        """Type and fill of each band."""
        return RasterGroupMetadata(self.bands)

    def driver_data(self, md: pystac.Item, band_key: tuple[str, int]) -> dict:
        """What the reader of an asset gets."""
        return md.assets[band_key[0]].extra_fields[HELD]


def _by_tie_points(uri: str, resampling: str, geobox: GeoBox, nodata: float | None) -> tuple | None:
    """A window of an image in radar geometry, warped by its ground control points; None where it has a CRS."""
    with rasterio.open(uri) as src:
        points, crs = src.gcps
        if src.crs is not None or not points:
            return None
        out = np.full(geobox.shape, np.nan, "float32")
        rasterio.warp.reproject(
            rasterio.band(src, 1), out, gcps=points, src_crs=crs, src_nodata=nodata, dst_nodata=np.nan,
            dst_crs=str(geobox.crs), dst_transform=geobox.transform, resampling=rasterio.enums.Resampling[resampling],
        )  # fmt: skip
    return np.s_[0 : out.shape[0], 0 : out.shape[1]], out
