"""Samples of public datasets and inventories as rows: source, licence, citation, hash, and reader."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from glacier_nb import readers, records


@dataclass(frozen=True)
class Dataset:
    """One public dataset, or the sample of it that lies in a data folder."""

    name: str
    title: str
    kind: str
    """outlines, fronts, boxes, points, records, scenes, rasters, items or weights."""
    path: str
    """File or folder inside the data folder."""
    read: Callable
    """A path to a table, or to a dict of paths."""
    url: str
    licence: str
    citation: str
    sha256: str
    """`digest` of the sample."""


_RGI6 = "RGI Consortium 2017, Randolph Glacier Inventory 6.0, doi:10.7265/4m1f-gd79"
_RGI7 = "RGI 7.0 Consortium 2023, doi:10.5067/f6jmovy5navz"
_OGGM = "https://github.com/OGGM/oggm-sample-data"
_FRONT_URL = "https://github.com/yaramohajerani/FrontLearning"
_FRONT_CITE = "Mohajerani et al. 2019, doi:10.3390/rs11010074"
_COPERNICUS = "contains modified Copernicus Sentinel data"
_GEOUTILS = "https://github.com/GlacioHack/geoutils-data"
_files = readers.files

DATASETS = (
    Dataset(
        "rgi6-everest", "RGI 6.0 outlines around Mount Everest", "outlines",
        "geoutils_data/Everest_Landsat/15_rgi60_glacier_outlines.gpkg", readers.inventory,
        _GEOUTILS, "CC BY 4.0", _RGI6,
        "1aa4fe522fe3bc65aba8d812a7fa27cf083a2ce6d7745066a053a7469cdebabc",
    ),
    Dataset(
        "rgi6-exploradores", "RGI 6.0 outlines around Exploradores Glacier", "outlines",
        "geoutils_data/Exploradores_ASTER/17_rgi60_glacier_outlines.gpkg", readers.inventory,
        _GEOUTILS, "CC BY 4.0", _RGI6,
        "ed98d7f05b1df4a5cf1e3e7e14ed3105c1ccc630aa72b6784e33f93c29e5075e",
    ),
    Dataset(
        "rgi6-high-mountain-asia", "604 RGI 6.0 outlines of High Mountain Asia", "outlines",
        "rgi60_hma_subset/RGI.shp", readers.inventory,
        "https://doi.org/10.7265/4m1f-gd79", "CC BY 4.0", _RGI6,
        "c88ed2be3e5a7789700258db117141db55d885d30cee8d65d7b4e7c42d805127",
    ),
    Dataset(
        "rgi7-hintereisferner", "RGI 7.0 outlines around Hintereisferner", "outlines",
        "oggm_sample/test-files/rgi7/rgi7g_hef_complex.shp", readers.inventory,
        _OGGM, "CC BY 4.0", _RGI7,
        "f88f366da32e96422b5b9d829add5fa1f135a2d9c6eb3c2f687f3d4be4ff38e0",
    ),
    Dataset(
        "rgi6-hintereisferner", "RGI 6.0 outline of Hintereisferner", "outlines",
        "oggm_sample/test-files/Hintereisferner_RGI6.shp", readers.inventory,
        _OGGM, "CC BY 4.0", _RGI6,
        "147daca49aee9319caa5efce3fd48692f8402cde575d5248106f93362a8c314a",
    ),
    Dataset(
        "rgi7-complex", "RGI 7.0 glacier complex of Hintereisferner", "outlines",
        "oggm_sample/test-files/rgi7/rgi7c_hef.shp", readers.inventory,
        _OGGM, "CC BY 4.0", _RGI7,
        "8f802c8dff8104d0ec347298d3f08a3b62247e973fa3ab8b0c434f9544323fb8",
    ),
    Dataset(
        "rgi6-columbia", "RGI 6.0 outline of Columbia Glacier", "outlines",
        "oggm_sample/test-files/columbia_rgi/RGI60-01.10689.shp", readers.inventory,
        _OGGM, "CC BY 4.0", _RGI6,
        "ef389be7f5ffb7d0db08bc599b973190847329577a18ec5271d560666d3f5ff9",
    ),
    Dataset(
        "rgi5-oetztal", "RGI 5.0 outlines of the Oetztal Alps", "outlines",
        "oggm_sample/test-workflow/rgi/rgi_oetztal.shp", readers.inventory,
        _OGGM, "CC BY 4.0", "RGI Consortium 2015, Randolph Glacier Inventory 5.0",
        "1b2160337f8eb20ae587f8bc359c0f7b3df1399c9fb77d36efc953a8992e1a77",
    ),
    Dataset(
        "rgi6-ice-cap", "RGI 6.0 outlines of an Icelandic ice cap", "outlines",
        "oggm_sample/test-files/RGI6_icecap.shp", readers.inventory,
        _OGGM, "CC BY 4.0", _RGI6,
        "d8ec5e88b33abf81d5a113aa13de2f073b5ac79ca4b3330a05c2721186f4d882",
    ),
    Dataset(
        "baltoro", "Outline of Baltoro Glacier", "outlines",
        "oggm_sample/test-files/baltoro_wgs84.shp", readers.inventory,
        _OGGM, "BSD-3-Clause", "OGGM sample data",
        "ed4be56117a3d4b45c3688060fcb808ddfe808c904b0e8d76ddb323454f52360",
    ),
    Dataset(
        "cgi2-debris", "Five glaciers of the second Chinese inventory, with debris", "outlines",
        "oggm_sample/test-files/cgi2/cgi2.shp", readers.inventory,
        _OGGM, "BSD-3-Clause", "Guo et al. 2015, doi:10.3189/2015JoG14J209",
        "63cbaeff884cfc04760653a5fab9fe6c3f670d3f829397501bb49ef0169c2109",
    ),
    Dataset(
        "glims-hochalmkees", "Hochalmkees at eleven analyses, 1850-2016", "outlines",
        "glims_hochalmkees/glims_polygons.shp", readers.inventory,
        "https://www.glims.org", "GLIMS, cite the analysts", "GLIMS Consortium 2005, doi:10.7265/N5V98602",
        "cf51a33dd103510e672bfccdeaf4426efa92d4cfe3c99a1128e27961a68e8564",
    ),
    Dataset(
        "svalbard-1936-2007", "Five Svalbard glaciers in 1936, 1990 and 2007", "outlines",
        "svalbard_outlines_1936_1990_2007/svalbard.gpkg", readers.svalbard,
        "https://doi.org/10.21334/npolar.2013.89f430f8", "CC BY 4.0",
        "Koenig et al. 2013, Norwegian Polar Institute, doi:10.21334/npolar.2013.89f430f8",
        "55bbadeb53d64b7710baa3a701f27f4ce54d27cac3bd251e57640d24038df09b",
    ),
    Dataset(
        "harald-moltke-brae", "159 calving fronts of Harald Moltke Brae, 2019-2021", "fronts",
        "harald_moltke_brae", readers.harald_moltke,
        "https://github.com/eloebel/rectilinear-box-method", "MIT", "Loebel et al. 2024, doi:10.5194/tc-18-3315-2024",
        "d238cd65d529fa117bfb34528558024e78ba62be3e592ffdb21e3135c2ab8337",
    ),
    Dataset(
        "harald-moltke-box", "Box that the fronts of Harald Moltke Brae are measured in", "boxes",
        "harald_moltke_brae", readers.harald_moltke_box,
        "https://github.com/eloebel/rectilinear-box-method", "MIT", "Loebel et al. 2024, doi:10.5194/tc-18-3315-2024",
        "d238cd65d529fa117bfb34528558024e78ba62be3e592ffdb21e3135c2ab8337",
    ),
    Dataset(
        "measures-termini", "Termini of about 200 Greenland glaciers in nine winters", "fronts",
        "measures_greenland_termini", readers.measures,
        "https://nsidc.org/data/nsidc-0642", "NASA, open",
        "Joughin et al. 2017, NSIDC-0642 v1.2, doi:10.5067/DC0MLBOCL3EL",
        "49d3f9ab8bbf491200afd0d0d42a1d2fc9a208ac245f9ddafe2948be79c1dbcb",
    ),
    Dataset(
        "frontlearning", "123 Landsat scenes with labelled calving fronts", "scenes",
        "frontlearning/train", readers.frontlearning,
        _FRONT_URL, "CC BY 4.0", _FRONT_CITE,
        "d90ce4788f58b5cb19924f4cbbdcdd9746a106e74db97891fc5c69c6ce9fa21f",
    ),
    Dataset(
        "frontlearning-weights", "Six published sets of U-Net weights", "weights",
        "frontlearning/published_keras_weights", functools.partial(_files, pattern="*.h5"),
        _FRONT_URL, "CC BY 4.0", _FRONT_CITE,
        "f539026269e8a2180cf77d769a08a025a192f669a2bacedcfb2316c0d68e020c",
    ),
    Dataset(
        "snow-ice-points", "Human-classified pixels at four North American glaciers", "points",
        "snow_ice_points", readers.points,
        "https://github.com/RaineyAbe/glacier-snow-cover-mapping", "MIT", "Aberle et al., glacier-snow-cover-mapping",
        "cc573d2e785939e2d39bb498982a0cf941e68fa1f5b72387d89d23ab279cc213",
    ),
    Dataset(
        "khumbu-stac", "Khumbu in four seasons of 2024: Sentinel-2, Sentinel-1 and a DEM", "items",
        "khumbu_stac", functools.partial(_files, pattern="*.json"),
        "https://dataspace.copernicus.eu", "MIT", _COPERNICUS,
        "caf960731d49e23b8ac839a0bc0c18f1eb905ee739dc5f2813ef06147041d671",
    ),
    Dataset(
        "planetary-computer-items", "Items as Planetary Computer serves them", "items",
        "stac_planetary_computer", functools.partial(_files, pattern="*json"),
        "https://planetarycomputer.microsoft.com", "MIT or Apache-2.0",
        "stac-geoparquet, pystac-client, odc-stac and pgstac test data",
        "7848ca48e42333b3026b59e12aeddb321a96e536346103ab19c77f59765d37be",
    ),
    Dataset(
        "other-provider-items", "Items as Earth Search, Copernicus Data Space and stactools write them", "items",
        "stac_other_providers", functools.partial(_files, pattern="*.json"),
        "https://earth-search.aws.element84.com/v1", "MIT or Apache-2.0", _COPERNICUS,
        "0b4a11b2f58bc00d4e5a3186113d8cb3ed01a8e8dd59cd1c6360761d47fe4d8b",
    ),
    Dataset(
        "landsat-greenland-512", "A Landsat 8 Level-2 scene of Greenland at 512 pixels", "rasters",
        "landsat_c2l2_greenland_512", functools.partial(_files, pattern="*.TIF"),
        "https://github.com/stactools-packages/landsat", "Apache-2.0; USGS public domain",
        "USGS, Landsat Collection 2 Level-2, doi:10.5066/P9OGBGM6",
        "cf3ae45abfeb59adee2ec826968e6bcdbddf62b6a0237a50f7e3b5ede0c1032f",
    ),
    Dataset(
        "everest-landsat", "Landsat 7 over Mount Everest, 30 October 2000", "rasters",
        "geoutils_data/Everest_Landsat", functools.partial(_files, pattern="*.tif"),
        _GEOUTILS, "BSD-3-Clause", "USGS; GeoUtils sample data",
        "eee9c2dd2558874bc62a878823d115c1bec35dbd6b8ade8f07e7a63de7b7315a",
    ),
    Dataset(
        "exploradores-aster", "ASTER DEM of Exploradores Glacier, 18 March 2012", "rasters",
        "geoutils_data/Exploradores_ASTER", functools.partial(_files, pattern="*.tif"),
        _GEOUTILS, "BSD-3-Clause", "NASA/METI ASTER; GeoUtils sample data",
        "ab89db4c2509bcb3b047f02f7f21e6fd7d6b77a9a25b3df6538de719e828a331",
    ),
    Dataset(
        "liligo-debris", "Debris, ice and firn of Liligo Glacier, 10 August 2011", "rasters",
        "liligo_debris", functools.partial(_files, pattern="*.tif"),
        "https://cran.r-project.org/package=glacierSMBM", "GPL-3 or later",
        "Groos and Mayer 2017, R package glacierSMBM",
        "eae655ed61fdd1d810d41c125bc21fd4b5f4de84e8e85fd41353db730d7328e9",
    ),
    Dataset(
        "longyearbyen-dem", "A Svalbard DEM before and after co-registration", "rasters",
        "xdem_longyearbyen_coreg", functools.partial(_files, pattern="*.tif"),
        "https://github.com/GlacioHack/xdem-data", "Norwegian Polar Institute; Apache-2.0",
        "xDEM contributors, doi:10.5281/zenodo.4809698",
        "f6143bf75f0b4ff3a25b2937ea22e312586abc8b332384c2e212e2be1c26d1e8",
    ),
    Dataset(
        "leclercq-lengths", "Lengths of 471 glaciers since 1534", "records",
        "oggm_sample/leclercq", records.lengths,
        "https://folk.uio.no/paulwl/length.php", "cite", "Leclercq et al. 2014, doi:10.5194/tc-8-659-2014",
        "2a3572899a421e0b7333673a7d31b66957bb7277d0525e5538c593d720a17780",
    ),
    Dataset(
        "its-live-columbia", "ITS_LIVE velocity around Columbia Glacier, mean of 1985 to 2018", "rasters",
        "oggm_sample/shop", functools.partial(_files, pattern="*.tif"),
        "https://its-live.jpl.nasa.gov", "CC BY 4.0", "Gardner et al. 2019, doi:10.5067/6II6VW8LLWJ7",
        "cd9f71fa5adfa6d73700501367e27fd7797edffe8993cfb963faa33eb5da12ea",
    ),
    Dataset(
        "thickness-hintereisferner", "Consensus ice thickness of Hintereisferner", "rasters",
        "oggm_sample/test-files/consensus_composite", functools.partial(_files, pattern="*.tif"),
        "https://doi.org/10.3929/ethz-b-000315707", "CC BY 4.0",
        "Farinotti et al. 2019, doi:10.1038/s41561-019-0300-3",
        "3bf87cc62ff2a027cfc5c02dba39b6bd928476bd43f22b1bd2569e41c3cb9538",
    ),
)  # fmt: skip
"""Every row, in the order that tables show them."""
