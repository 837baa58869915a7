"""Providers as rows: where items come from, and what reading their files takes."""

from collections.abc import Iterable
from dataclasses import dataclass

FOUND = "glacier_nb:provider"
"""Property of an item that tells the name of the provider that gave it: frozen items are read as theirs."""


@dataclass(frozen=True)
class Provider:
    """Where items come from, and what reading their assets takes."""

    name: str
    address: str
    """STAC API."""
    collections: tuple[tuple[str, str], ...] = ()
    """(sensor, collection id) of what it has; empty: its API is asked."""
    signed: tuple[str, ...] = ()
    """Host endings whose files need a signature, which is fetched at each read."""
    gdal: tuple[tuple[str, str], ...] = ()
    """GDAL settings its store needs; keys and secrets come from the environment."""
    page: int = 250
    """Items it gives at a time, at most."""
    doubtful: bool = False
    """Whether its word on the Sentinel-2 offset is known to be wrong for some items."""

    @property
    def told(self) -> dict[str, str]:
        """The property that its items tell it by; an address alone, or a file, has none."""
        return {} if self.name == self.address else {FOUND: self.name}


def _same(*names: str) -> tuple[tuple[str, str], ...]:
    """Sensors whose collection has the sensor's name."""
    return tuple((name, name) for name in names)


PROVIDERS = (
    Provider(
        "planetary-computer", "https://planetarycomputer.microsoft.com/api/stac/v1",
        _same("sentinel-2-l2a", "landsat-c2-l2", "sentinel-1-rtc", "sentinel-1-grd", "cop-dem-glo-30", "cop-dem-glo-90",
              "nasadem", "alos-dem"),
        signed=(".blob.core.windows.net",),
    ),
    Provider(
        "earth-search", "https://earth-search.aws.element84.com/v1",
        # collection sentinel-2-c1-l2a has Collection 1 alone; this one has both
        _same("sentinel-2-l2a", "sentinel-2-l1c", "landsat-c2-l2", "sentinel-1-grd", "cop-dem-glo-30",
              "cop-dem-glo-90"),
        gdal=(("AWS_NO_SIGN_REQUEST", "YES"),),
        doubtful=True,  # github.com/Element84/earth-search issues 9, 66 and 71
    ),
    Provider(
        "copernicus-data-space", "https://stac.dataspace.copernicus.eu/v1",
        (*_same("sentinel-2-l2a", "sentinel-2-l1c", "sentinel-1-grd"),
         ("cop-dem-glo-30", "cop-dem-glo-30-dged-cog"), ("cop-dem-glo-90", "cop-dem-glo-90-dged-cog")),
        gdal=(("AWS_S3_ENDPOINT", "eodata.dataspace.copernicus.eu"), ("AWS_VIRTUAL_HOSTING", "FALSE")),
    ),
    Provider(
        # its files lie behind a login, or in a bucket whose reader pays: settings of the user's environment
        "usgs", "https://landsatlook.usgs.gov/stac-server",
        (("landsat-c2-l2", "landsat-c2l2-sr"), ("landsat-c2-l1", "landsat-c2l1")),
    ),
    Provider(
        "swisstopo", "https://data.geo.admin.ch/api/stac/v1",
        (("swissalti3d", "ch.swisstopo.swissalti3d"), ("swissimage", "ch.swisstopo.swissimage-dop10")),
        page=100,
    ),
    Provider(
        "polar-geospatial-center", "https://stac.pgc.umn.edu/api/v1/",
        (("arcticdem", "arcticdem-mosaics-v4.1-10m"), ("rema", "rema-mosaics-v2.0-10m"),
         ("arcticdem-strips", "arcticdem-strips-s2s041-2m"), ("rema-strips", "rema-strips-s2s041-2m")),
        gdal=(("AWS_NO_SIGN_REQUEST", "YES"),),
    ),
)  # fmt: skip


def provider_row(provider: str, found: Iterable[str | None] = ()) -> Provider:
    """The row of a provider's name or address; for any other address, path or pattern that of the one provider in
    `found`, by which its items were found (`FOUND`), else a row without needs.

    >>> provider_row("swisstopo").address
    'https://data.geo.admin.ch/api/stac/v1'
    >>> provider_row("scenes/*.tif").signed
    ()
    >>> provider_row("items.parquet", ["planetary-computer", "planetary-computer"]).signed
    ('.blob.core.windows.net',)
    """
    names = set(found)
    for name in (provider, names.pop() if len(names) == 1 else None):
        if row := next((row for row in PROVIDERS if name in (row.name, row.address)), None):
            return row
    return Provider(str(provider), str(provider))


def collection(source: Provider, sensor: str) -> str | None:
    """Id of a sensor's collection at a provider; None where the provider's own list is not known.

    LookupError names the providers that have the sensor.
    """
    if not source.collections:
        return None
    there = dict(source.collections)
    if sensor not in there:
        others = [row.name for row in PROVIDERS if sensor in dict(row.collections)]
        where = f"{' or '.join(others)} has it" if others else "read it from files: provider='folder/*.tif'"
        raise LookupError(f"{source.name} has no {sensor}, it has {', '.join(there)}: {where}")
    return there[sensor]
