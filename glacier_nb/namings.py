"""How producers name their files, as rows: which scene, date and band a name tells."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Naming:
    """How a producer names the files of a sensor."""

    sensor: str
    pattern: str
    """Regular expression of the path's end; group `scene` names the item, `date` and `end` when, `band` the band."""
    bands: tuple[tuple[str, str], ...] = ()
    """(what `band` says, band or quality layer of the sensor); without a group `band`, ("", band)."""
    stacks: tuple[tuple[str, ...], ...] = ()
    """Bands of a file that has several, in order: the row as long as the file is taken."""
    form: str = ""
    """Form of `date` where it is none of ISO 8601 or a year."""
    span: tuple[str, str] = ("", "")
    """First and last date of files whose names have none."""


_TM = (("SR_B1", "blue"), ("SR_B2", "green"), ("SR_B3", "red"), ("SR_B4", "nir"), ("SR_B5", "swir16"),
       ("SR_B7", "swir22"), ("ST_B6", "lwir11"), ("QA_PIXEL", "qa_pixel"), ("QA_RADSAT", "qa_radsat"))  # fmt: skip
_OLI = (("B1", "coastal"), ("B2", "blue"), ("B3", "green"), ("B4", "red"), ("B5", "nir"), ("B6", "swir16"),
        ("B7", "swir22"))  # fmt: skip
_QA = (("QA_PIXEL", "qa_pixel"), ("QA_RADSAT", "qa_radsat"))
_OLI_SR = (*((f"SR_{code}", name) for code, name in _OLI), ("ST_B10", "lwir11"), *_QA)
_MSI = (("B01", "coastal"), ("B02", "blue"), ("B03", "green"), ("B04", "red"), ("B05", "rededge071"),
        ("B06", "rededge075"), ("B07", "rededge078"), ("B08", "nir"), ("B8A", "nir08"), ("B11", "swir16"),
        ("B12", "swir22"), ("SCL", "SCL"))  # fmt: skip
_PLANET = (
    ("blue", "green", "red", "nir"),
    ("coastal", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"),
)
_POLARISATIONS = tuple((name.upper(), name) for name in ("vv", "vh", "hh", "hv"))
_VELOCITY = (("v", "velocity"), ("vx", "velocity_x"), ("vy", "velocity_y"))
_RATE = (("dhdt", "dh_dt"), ("dhdt_err", "dh_dt_error"))
_HEIGHT = (("", "elevation"),)

_DAY, _TIME, _SPAN = r"(?P<date>\d{8})", r"(?P<date>\d{8}T\d{6})", r"(?P<date>\d{8}T\d{6})_(?P<end>\d{8}T\d{6})"
_DAYS, _YEAR = r"(?P<date>\d{4}-\d\d-\d\d)_(?P<end>\d{4}-\d\d-\d\d)", r"(?P<date>[12]\d{3})"
_USGS = rf"_\d{{6}}_{_DAY}_\d{{8}}_02_T[12])_(?P<band>\w+)\.TIF"
_PSSCENE = r"(?P<scene>(?P<date>\d{8}_\d{6})(_\d\d)?_\w{4})_3B_"
_CELL, _BAND = r"[NS]\d\d_00_[EW]\d{3}_00_DEM", r"_(?P<band>v[xy]?)\.tif"

NAMINGS = (
    *(
        Naming(name, rf"(?P<scene>T\d\d[A-Z]{{3}}_{_TIME})_(?P<band>B\d[\dA]|SCL)(_\d0m)?\.(jp2|tiff?)", _MSI)
        for name in ("sentinel-2-l2a", "sentinel-2-l1c")
    ),
    Naming("landsat-c2-l2", r"(?P<scene>L[CO]0[89]_L2S[PR]" + _USGS, _OLI_SR),
    Naming("landsat-c2-l2", r"(?P<scene>L[TE]0[457]_L2S[PR]" + _USGS, _TM),
    Naming(
        "landsat-c2-l1", r"(?P<scene>L[CO]0[89]_L1[TG][PTS]" + _USGS, (*_OLI, ("B8", "pan"), ("B9", "cirrus"), *_QA)
    ),
    Naming(
        "planetscope", _PSSCENE + r"AnalyticMS_SR(_8b)?(_harmonized)?(_clip)?\.tif", stacks=_PLANET
    ),
    Naming("planetscope", _PSSCENE + r"udm2(_clip)?\.tif", (("", "udm2"),)),
    Naming(
        "sentinel-1-rtc", rf"(?P<scene>S1[A-D]_[IE]W_{_TIME}_\w+_RTC\d\d_G_gp\w+)_(?P<band>[VH]{{2}})\.tif",
        _POLARISATIONS,  # gamma0 as power, as ASF HyP3 names it
    ),
    Naming("coherence", rf"(?P<scene>S1\w+_{_SPAN}_\w+)_corr\.tif", (("", "coherence"),)),
    # mosaics of many years carry the date of their edition, as Planetary Computer's items do
    Naming("cop-dem-glo-30", rf"(?P<scene>Copernicus_DSM_COG_10_{_CELL})\.tif", _HEIGHT, span=("2021-04-22", "")),
    Naming("cop-dem-glo-90", rf"(?P<scene>Copernicus_DSM_COG_30_{_CELL})\.tif", _HEIGHT, span=("2021-04-22", "")),
    Naming("nasadem", r"(?P<scene>NASADEM_HGT_[ns]\d\d[ew]\d{3})\.tif", _HEIGHT, span=("2000-02-11", "2000-02-22")),
    Naming("alos-dem", r"(?P<scene>ALPSMLC30_[NS]\d{3}[EW]\d{3})_DSM\.tif", _HEIGHT, span=("2016-12-07", "")),
    *(
        Naming(f"{name}-strips", rf"(?P<scene>SETSM_s2s\d+_\w+?_{_DAY}_\w+)_dem\.tif", _HEIGHT)
        for name in ("arcticdem", "rema")
    ),
    *(
        Naming(name, r"(?P<scene>\d\d_\d\d_(\d_\d_)?\d+m_v\d\.\d)_dem\.tif", _HEIGHT, span=span)
        for name, span in (("arcticdem", ("2007-01-01", "2022-12-31")), ("rema", ("2009-01-01", "2021-12-31")))
    ),
    Naming("swissalti3d", rf"(?P<scene>swissalti3d_{_YEAR}_\d{{4}}-\d{{4}}_[\d.]+_2056_5728)\.tif", _HEIGHT),
    Naming(
        "swissimage", rf"(?P<scene>swissimage-dop10_{_YEAR}_\d{{4}}-\d{{4}}_[\d.]+_2056)\.tif",
        stacks=(("red", "green", "blue"),),
    ),
    Naming("hugonnet-dh-dt", rf"(?P<scene>[NS]\d\d[EW]\d{{3}}_{_DAYS})_(?P<band>\w+)\.tif", _RATE),
    # 0000 is the mean of all years
    Naming(
        "its-live-velocity", r"(?P<scene>(crop_)?[A-Z]{3}_G0\d{3}_0000)" + _BAND, _VELOCITY,
        span=("1985-01-01", "2018-12-31"),
    ),
    Naming("its-live-velocity", rf"(?P<scene>[A-Z]{{3}}_G0\d{{3}}_{_YEAR})" + _BAND, _VELOCITY),
    Naming(
        "its-live-velocity", r"(?P<scene>ITS_LIVE_velocity_\w+?_0000_v02)" + _BAND, _VELOCITY,
        span=("2014-01-01", "2022-12-31"),
    ),
    Naming("its-live-velocity", rf"(?P<scene>ITS_LIVE_velocity_\w+?_{_YEAR}_v02)" + _BAND, _VELOCITY),
    Naming(
        "ice-thickness", r"(?P<scene>RGI\d0-\d\d\.\d{5})_thickness\.tif", (("", "thickness"),), span=("2003-01-01", "")
    ),
    Naming("dem", r"(?P<scene>AST_L1A_003(?P<date>\d{14})\d*)_Z\.tif", _HEIGHT, form="%m%d%Y%H%M%S"),
)  # fmt: skip
"""Names as their producers write them."""
