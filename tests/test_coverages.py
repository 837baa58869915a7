"""Shares of pixels against another library's, and what must hold whatever the polygon."""

import geopandas as gpd
import numpy as np
import odc.geo.xr
import pytest
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from odc.geo.geobox import GeoBox

from glacier_nb import attributes, coverages

CRS = "EPSG:32633"
BOX = GeoBox((40, 60), odc.geo.geom.Affine(30, 0, 500_000, 0, -30, 7_000_000), CRS)


def surface(seed=0):
    values = np.random.default_rng(seed).normal(1000, 200, BOX.shape).astype("float32")
    values[5:9, 7:15] = np.nan
    return values


def polygons(seed, n=80):
    """Lobed, some with holes, some of two parts, some partly or wholly off the raster, both ways round."""
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 2 * np.pi, 50, endpoint=False)
    radius = rng.uniform(80, 400, (n, 1)) * (1 + 0.4 * np.sin(rng.integers(2, 6, (n, 1)) * turn))
    ring = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=-1)
    at = np.stack([rng.uniform(499_800, 502_000, n), rng.uniform(6_998_600, 7_000_200, n)], axis=-1)
    shapes = shapely.polygons(ring + at[:, None])
    shapes[::4] = shapely.difference(shapes[::4], shapely.buffer(shapely.points(at[::4]), 40))
    shapes[1::5] = shapely.union(shapes[1::5], shapely.transform(shapes[1::5], lambda xy: xy + 900))
    shapes[2::3] = shapely.reverse(shapes[2::3])
    return shapes


@pytest.mark.parametrize("seed", range(3))
def test_statistics_are_those_of_exactextract(seed):
    values, shapes = surface(seed), polygons(seed)
    left, bottom, right, top = BOX.boundingbox.bbox
    frame = gpd.GeoDataFrame(geometry=shapes, crs=CRS)
    source = NumPyRasterSource(
        values.astype(float), left, bottom, right, top, nodata=np.nan, srs_wkt=frame.crs.to_wkt()
    )
    there = exact_extract(source, frame, list(coverages.STATISTICS), output="pandas").astype(float)
    ours = coverages.within(values, (left, top), (30, 30), shapes)
    assert np.isnan(ours["mean"]).any() and (ours["count"] > 0).sum() > 40
    for name in coverages.STATISTICS:
        assert ours[name] == pytest.approx(there[name].to_numpy(), rel=1e-6, nan_ok=True), name


def test_shares_sum_to_the_area_and_neighbours_to_the_whole():
    values, rng = np.ones(BOX.shape), np.random.default_rng(1)
    points = rng.uniform((500_000, 6_998_800), (501_800, 7_000_000), (200, 2))
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(points)))
    inside = shapely.intersection(cells, shapely.box(*BOX.boundingbox.bbox))
    found = coverages.within(values, (500_000, 7_000_000), (30, 30), inside)
    assert found["count"] * 900 == pytest.approx(shapely.area(inside), abs=1e-3)
    assert found["sum"].sum() == pytest.approx(values.size, rel=1e-9)


def test_many_outlines_are_counted_as_few_are():
    """`attributes.zonal` takes this road for many shapes and plain statistics, the other for the rest."""
    layer = odc.geo.xr.wrap_xr(surface(), BOX)
    frame = gpd.GeoDataFrame(geometry=polygons(4, attributes.MANY), crs=CRS)
    many = attributes.zonal(layer, frame, ["max", "mean"])
    few = attributes.zonal(layer, frame[: attributes.MANY - 1], ["max", "mean"]).astype(float)
    assert list(many) == ["max", "mean"]
    np.testing.assert_allclose(many[:-1].to_numpy(), few.to_numpy(), rtol=1e-6)


def test_what_is_not_there_has_no_pixels():
    shapes = np.array([shapely.Polygon(), None, shapely.box(0, 0, 1, 1), shapely.box(500_000, 6_999_970, 500_030, 7e6)])
    found = coverages.within(surface(), (500_000, 7_000_000), (30, 30), shapes)
    assert found["count"].tolist() == [0, 0, 0, 1] and np.isnan(found["mean"][:3]).all()
    assert found["mean"][3] == found["min"][3] == surface()[0, 0]
