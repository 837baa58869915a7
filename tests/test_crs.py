"""What has no metres is refused with the code to use; a polar map's scale is taken out."""

import geopandas as gpd
import pytest
import shapely
from odc.geo.geobox import GeoBox

from glacier_nb import crs


@pytest.mark.parametrize(("code", "bbox", "use"), [
    ("EPSG:4326", (86.78, 27.95, 86.85, 28.00), "EPSG:32645"),
    ("EPSG:3857", (9_660_000, 3_240_000, 9_665_000, 3_245_000), "EPSG:32645"),
    ("EPSG:4326", (-70.1, -49.2, -70.0, -49.1), "EPSG:32719"),
    ("EPSG:4326", (-40.0, 84.2, -39.9, 84.3), "EPSG:3413"),
    ("EPSG:4326", (-40.0, -84.3, -39.9, -84.2), "EPSG:3031"),
    ("EPSG:2263", (980_000, 190_000, 990_000, 200_000), "EPSG:32618"),  # feet
])  # fmt: skip
def test_what_has_no_metres_is_refused_with_the_code_to_use(code, bbox, use):
    for thing in (gpd.GeoDataFrame(geometry=[shapely.box(*bbox)], crs=code), GeoBox.from_bbox(bbox, code, shape=9)):
        with pytest.raises(ValueError, match=f"need metres; reproject with .*{use}") as error:
            crs.metres(thing)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="no CRS"):
        crs.metres(gpd.GeoSeries([shapely.box(*bbox)]))


@pytest.mark.parametrize("code", ["EPSG:32645", "EPSG:3413", "EPSG:3031", "+proj=laea +lat_0=76 +lon_0=-68"])
def test_metres_pass(code):
    assert crs.metres(gpd.GeoSeries([shapely.Point(1e6, 1e6)], crs=code)) is None


def test_scale_gives_true_areas_in_polar_stereographic():
    place = gpd.GeoSeries([shapely.Point(-68, 76.6)], crs=4326)
    local = place.to_crs("+proj=laea +lat_0=76.6 +lon_0=-68").buffer(2000, 64)
    polar = local.to_crs(3413)
    assert abs(polar.area.item() / local.area.item() - 1) > 0.03
    assert polar.area.item() / crs.scale(polar).item() == pytest.approx(local.area.item(), rel=1e-4)
    assert crs.scale(gpd.GeoSeries([shapely.box(500_000, 7_000_000, 500_001, 7_000_001)], crs=32633)).item() == 1
    assert len(crs.scale(place.iloc[:0])) == 0


def test_places_on_both_sides_of_the_date_line_are_near_each_other():
    both = gpd.GeoSeries([shapely.box(179.2, 70, 179.4, 70.1), shapely.box(-179.9, 70, -179.8, 70.1)], crs="EPSG:4326")
    with pytest.raises(ValueError, match="EPSG:32660"):
        crs.metres(both)
