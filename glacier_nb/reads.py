"""One window of one asset read: GDAL's settings, signatures, stored values made physical, a failure by name."""

import re
from dataclasses import asdict, dataclass
from urllib.parse import quote, urlsplit

import numpy as np
import pystac
import rasterio
import rasterio.enums
import rasterio.errors
import rasterio.warp
from odc.geo.geobox import GeoBox
from odc.loader import RasterBandMetadata, RasterGroupMetadata, RioDriver, RioReader

GDAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_CONNECTTIMEOUT": "20",
    "GDAL_HTTP_TIMEOUT": "120",
    "GDAL_HTTP_LOW_SPEED_TIME": "30",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
    "GDAL_HTTP_MAX_RETRY": "5",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "GDAL_CACHEMAX": 256 * 2**20,  # rasterio passes bytes on; the default is 5 % of the memory, in each process
}
"""Settings of every read; what the caller set with `odc.stac.configure_rio` or a rasterio Env goes before them."""

# what odc.loader gives where the caller set nothing: its ten doubling delays are minutes before an error is seen
_UNCHOSEN = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": "10",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
}

HELD = "glacier_nb:read"
"""Extra field under which an asset carries its `Read`."""


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


class Driver(RioDriver):
    """odc.loader's rasterio driver with our settings and reader; it travels to the workers inside the graph."""

    def __init__(self, gdal: dict[str, str], bands: dict[str, Read]) -> None:
        super().__init__(md_parser=_Metadata(bands))
        self.gdal = {**GDAL, **gdal}

    def capture_env(self) -> dict:
        """GDAL settings for the workers."""
        chosen = super().capture_env()
        return self.gdal if chosen == _UNCHOSEN else {**self.gdal, **chosen}

    def open(self, src, ctx) -> "Reader":
        """Reader of one asset."""
        return Reader(src, ctx)


class Reader:
    """Windows of one asset. Each item's own scale and offset apply here, before anything is merged."""

    def __init__(self, src, ctx) -> None:
        self.src, self.ctx, self.held = src, ctx, Read(**src.driver_data)

    def read(self, cfg, dst_geobox: GeoBox, *, dst: np.ndarray | None = None, selection=None) -> tuple:
        """Pixels on `dst_geobox` and where they lie in it; OSError names item and asset."""
        held = self.held
        try:
            found = _by_tie_points(self.src.uri, cfg.resampling, dst_geobox, held.nodata) if held.tied else None
            cfg = cfg.patch(src_nodata_fallback=held.nodata)
            roi, pixels = found or RioReader(self.src, self.ctx).read(cfg, dst_geobox, selection=selection)
        except (rasterio.errors.RasterioError, OSError) as error:
            raise OSError(failure(held.item, held.asset, error)) from None
        if pixels.dtype.kind == "f":
            pixels = physical(pixels, held)
        if dst is None:
            return roi, pixels
        dst[roi] = pixels
        return roi, dst[roi]


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
    """`href` as GDAL opens it: signed by GDAL at each read where its host ends as in `signed`, else unchanged.

    No token is in it, so that none can expire or leak (GDAL's vsicurl option `pc_url_signing`).
    """
    if not (urlsplit(href).hostname or "").endswith(signed or ("\0",)):
        return href
    return f"/vsicurl?pc_url_signing=yes&pc_collection={collection}&url={quote(href, safe='')}"


def overview(item: pystac.Item, name: str, gdal: dict[str, str], size: int = 256) -> np.ndarray:
    """Stored values of an asset at `size` pixels a side at most, no-data left out (1-D)."""
    held = of(item.assets[name])
    try:
        with rasterio.Env(**{**GDAL, **gdal}), rasterio.open(item.assets[name].href) as src:
            shrink = max(1, -(-max(src.shape) // size))
            stored = src.read(1, out_shape=tuple(-(-n // shrink) for n in src.shape))
            nodata = held.nodata if src.nodata is None else src.nodata
    except rasterio.errors.RasterioError as error:
        raise OSError(failure(held.item, held.asset, error)) from None
    return stored[stored != nodata] if nodata is not None else stored.ravel()


def failure(item: str, asset: str, error: Exception) -> str:
    """One line for a failed read: which one, why, and what next; query strings, which may hold tokens, are cut."""
    reason = re.sub(r"\?\S+", "?...", str(error)).strip() or type(error).__name__
    return f"cannot read {asset} of {item}: {reason}; try again, or leave this item out"


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
