"""Places found however they are given, on grids where a metre is a metre, with the glaciers that are there."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely

from glacier_nb import readers, regions

KHUMBU = (86.78, 27.95, 86.85, 28.0)


def test_the_same_place_in_many_words(tmp_path):
    box = shapely.box(*KHUMBU)
    frame = gpd.GeoDataFrame({"a": [1]}, geometry=[box], crs="EPSG:4326")
    frame.to_file(tmp_path / "here.gpkg")
    frame.to_crs("EPSG:32645").to_parquet(tmp_path / "there.parquet")
    (tmp_path / "point.geojson").write_text(
        json.dumps({"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(box)})
    )
    (tmp_path / "region.json").write_text(json.dumps({"name": "K", "bbox": KHUMBU, "crs": "EPSG:32645"}))
    given = [
        KHUMBU, list(KHUMBU), np.array(KHUMBU), "86.78,27.95,86.85,28.0", " 86.78 27.95 86.85 28 ", frame,
        frame.to_crs("EPSG:32645"), box, tmp_path / "here.gpkg", str(tmp_path / "point.geojson"),
        tmp_path / "region.json", tmp_path / "there.parquet", {"bbox": KHUMBU},
        json.dumps(shapely.geometry.mapping(box)),
    ]  # fmt: skip
    for one in given:
        region = regions.place(one)
        np.testing.assert_allclose(region.bbox, KHUMBU, atol=2e-3)  # a UTM square is not quite a lon/lat square
        assert region.crs == "EPSG:32645" and regions.place(region) is region
    assert regions.place(tmp_path / "region.json").name == "K"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Aletsch", "Aletsch"),
        ("great aletsch glacier", "Aletsch"),
        ("HARALD MOLTKE BRÆ", "Harald Moltke"),
        ("Rhône", "Rhone"),
    ],
)
def test_names_need_no_accents(text, name):
    assert regions.place(text).name == name


@pytest.mark.parametrize(
    ("region", "error", "says"),
    [
        ("Alesch", LookupError, "did you mean Aletsch"),
        ("Atlantis", LookupError, "no place 'Atlantis'.*west,south,east,north"),
        ("47.0,110.0,47.5,110.5", ValueError, "longitude and latitude look swapped"),
        ("10,47,11,46", ValueError, "encloses nothing"),
        ("10,47,11", ValueError, "four numbers"),
        ("10,97,11 km", ValueError, "a radius of at most 500 km"),
        ("RGI60-11.99999", LookupError, "no glacier RGI60-11.99999 in .*get Randolph Glacier Inventory 6.0 from https"),
        ("RGI2000-v7.0-G-05-00001", LookupError, r"G-05_greenland_periphery\.zip, then give inventory="),
        ("no/such.geojson", FileNotFoundError, "no file"),
        ({"type": "nonsense"}, ValueError, "neither GeoJSON nor has a bbox"),
        ("-30,30,40,60", ValueError, "split it"),
    ],
)  # fmt: skip
def test_a_wrong_place_gets_one_line(region, error, says):
    with pytest.raises(error, match=says) as caught:
        regions.place(region)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("region", "code"),
    [
        ("Aletsch", 32632), ("Khumbu", 32645), ("Perito Moreno", 32718), ("Tasman", 32759), ("Jakobshavn", 32622),
        ("Kongsfjorden", 3413), ("Petermann", 3413), ("Thwaites", 3031), ((0, -80, 5, -79), 3031),
        ((-60, 62, -40, 70), 3413), ((179.5, 65, -179.5, 66), 32601), ((-179.9, -45, -179.5, -44.5), 32701),
        ((5.9, 46, 6.1, 46.2), 32632),
    ],
)  # fmt: skip
def test_codes(region, code):
    assert regions.place(region).crs == f"EPSG:{code}"


@pytest.mark.parametrize(
    "region", ["Aletsch", "Perito Moreno", "Kongsfjorden", (179.8, 65, -179.8, 65.2), (0, -80, 2, -79.8)]
)
@pytest.mark.parametrize("resolution", [10, 30, 95.5])
def test_a_grid_covers_its_region_in_whole_pixels(region, resolution):
    place = regions.place(region)
    grid = regions.geobox(region, resolution)
    assert str(grid.crs) == place.crs and grid.resolution.xy == (resolution, -resolution)
    left, bottom, right, top = grid.boundingbox
    for edge in (left, bottom, right, top):
        assert abs(edge / resolution - round(edge / resolution)) < 1e-6
    inside = shapely.box(*grid.boundingbox).buffer(1e-6)
    back = pyproj.Transformer.from_crs("EPSG:4326", place.crs, always_xy=True)
    lon, lat = shapely.get_coordinates(place.geometry.segmentize(0.01)).T
    assert shapely.contains_xy(inside, *back.transform(lon, lat)).all()
    assert shapely.area(inside) < 1.3 * shapely.MultiPoint(np.transpose(back.transform(lon, lat))).envelope.area + 1e6


def test_pixels_match_sentinel_2_tiles():
    left, _, _, top = regions.geobox("Aletsch", 10).boundingbox
    assert (left - 399_960) % 10 == 0 and (top - 5_200_020) % 10 == 0  # origin of tile 32TMS


@pytest.mark.parametrize(
    ("crs", "says"),
    [
        ("EPSG:4326", "in degrees.*use EPSG:32645"),
        ("EPSG:3857", r"stretches areas 1\.3 times.*use EPSG:32645"),
        ("EPSG:2263", "not in metres"),
    ],
)
def test_grids_without_metres_are_refused(crs, says):
    with pytest.raises(ValueError, match=says):
        regions.geobox("Khumbu", 10, crs=crs)
    with pytest.raises(ValueError, match="pixel size"):
        regions.geobox("Khumbu", 0)
    assert regions.geobox("Kongsfjorden", 100, crs="EPSG:32633").crs.epsg == 32633


def test_the_gazetteer_lies_where_the_glaciers_are(data):
    shapes = {
        "Hintereisferner": readers.inventory(data / "oggm_sample/test-files/Hintereisferner_RGI6.shp"),
        "Columbia": readers.inventory(data / "oggm_sample/test-files/columbia_rgi/RGI60-01.10689.shp"),
        "Baltoro": readers.inventory(data / "oggm_sample/test-files/baltoro_wgs84.shp"),
        "Kongsfjorden": readers.svalbard(data / "svalbard_outlines_1936_1990_2007"),
        "Hochalmkees": readers.inventory(data / "glims_hochalmkees/glims_polygons.shp"),
        "Harald Moltke": readers.harald_moltke(data / "harald_moltke_brae"),
    }
    termini = readers.measures(data / "measures_greenland_termini")
    shapes["Jakobshavn"] = termini[termini.glacier_id == 3]
    for name, found in (
        ("Helheim", "Helheim"),
        ("Kangerlussuaq", "Kangerlussuaq Gletsjer"),
        ("Petermann", "Petermann Gletsjer"),
    ):
        shapes[name] = termini[termini.name.str.contains(found, na=False)]
    for name, frame in shapes.items():
        assert len(frame), name
        lines = frame.to_crs("EPSG:4326").geometry.to_numpy()
        inside = shapely.intersection(lines, regions.place(name).geometry)
        share = (shapely.length(inside) / shapely.length(lines)).mean()
        assert share > 0.6, f"{name}: {share:.0%} of it lies in its bbox"
    for name, bbox in regions.PLACES:
        assert regions.place(name).bbox == bbox


def test_an_inventory_in_a_region_has_true_areas(data):
    path = data / "geoutils_data/Everest_Landsat/15_rgi60_glacier_outlines.gpkg"
    found = regions.inventory(path, "Khumbu")
    assert list(found.columns[:5]) == ["rgi_id", "time", "system", "area_m2", "geometry"]
    assert found.crs.to_epsg() == 32645 and 5 < len(found) < 86
    np.testing.assert_allclose(found.area_m2 / 1e6 / found.area_km2, 0.9995, atol=0.0135)  # rounded to three figures
    np.testing.assert_allclose(found.area / found.area_m2, 1, atol=2e-3)  # UTM at most 1 in 1000 off near its middle
    assert found.time.notna().all() and found.time.dtype.kind == "M"


def test_no_glacier_says_what_to_do(data, tmp_path):
    path = data / "geoutils_data/Everest_Landsat/15_rgi60_glacier_outlines.gpkg"
    with pytest.raises(LookupError, match=r"no glacier in 15_rgi60.*choose a region with ice"):
        regions.inventory(path, (0.0, 45.0, 0.5, 45.5))
    with pytest.raises(LookupError, match="look swapped, Hintereisferner is at"):
        regions.inventory(path, (46.8, 10.7, 46.85, 10.8))
    own = gpd.GeoDataFrame({"id": [1]}, geometry=[shapely.box(*KHUMBU)], crs="EPSG:4326")
    own.to_file(tmp_path / "own.gpkg")
    with pytest.raises(LookupError, match="add a column rgi_id"):
        regions.inventory(tmp_path / "own.gpkg", KHUMBU)
    own.rename(columns={"id": "rgi_id"}).to_crs("EPSG:3857").to_parquet(tmp_path / "own.parquet")
    (area,) = regions.inventory(tmp_path / "own.parquet", KHUMBU).area_m2
    width, height = 0.07 * 111_320 * np.cos(np.radians(27.975)), 0.05 * 110_860
    assert area == pytest.approx(width * height, rel=3e-3)


def test_the_samples_stand_in_where_no_inventory_is_given(data, monkeypatch):
    monkeypatch.setenv("GLACIER_NB_DATA", str(data))
    assert set(regions.inventory(None, "Hintereisferner").system) == {"RGI 7.0"}
    assert set(regions.inventory(None, "Khumbu").system) == {"RGI 6.0"}
    with pytest.raises(LookupError, match="in the samples"):
        regions.inventory(None, "Thwaites")
    monkeypatch.delenv("GLACIER_NB_DATA")
    with pytest.raises(FileNotFoundError, match="GLACIER_NB_DATA"):
        regions.inventory(None, "Khumbu")


def test_the_demo_divides_read_back(tmp_path):
    frame = gpd.GeoDataFrame(
        {"rgi_id": ["a", "b"], "time": pd.to_datetime(["2017-08-20", "2017-08-20"]), "system": ["truth", "truth"]},
        geometry=[shapely.box(0, 0, 100, 100), shapely.box(100, 0, 200, 100)], crs="EPSG:32622",
    )  # fmt: skip
    frame = frame.set_geometry(frame.translate(500_000, 7_400_000))
    frame.to_parquet(tmp_path / "divides.parquet")
    back = regions.inventory(tmp_path / "divides.parquet", frame)
    assert list(back.rgi_id) == ["a", "b"] and set(back.system) == {"truth"}
    assert str(back.time.iloc[0].date()) == "2017-08-20"


def test_a_glacier_by_its_id(data, monkeypatch, tmp_path):
    monkeypatch.setenv("GLACIER_NB_DATA", str(data))
    monkeypatch.delenv("GLACIER_NB_INVENTORIES", raising=False)
    hef = readers.inventory(data / "oggm_sample/test-files/Hintereisferner_RGI6.shp")
    six, seven, cap = (regions.place(name) for name in ("RGI60-11.00897", "RGI2000-v7.0-G-11-03116", "RGI60-06.00313"))
    local = hef.to_crs(six.crs)
    box = gpd.GeoSeries([six.geometry], crs=4326).to_crs(six.crs)
    assert six.name == "RGI60-11.00897" and six.crs == "EPSG:32632" and box.contains(local.geometry[0]).all()
    widths = np.diff(np.reshape(box.total_bounds, (2, 2)) - np.reshape(local.total_bounds, (2, 2)), axis=0)
    np.testing.assert_allclose(widths, 2 * regions.MARGIN, atol=100)  # the box turns a little in lon/lat
    assert regions.place("RGI60-11.00897", data / "oggm_sample/test-files/Hintereisferner_RGI6.shp").bbox == six.bbox
    assert shapely.box(*seven.bbox).intersects(shapely.box(*six.bbox)) and cap.crs == "EPSG:32627"
    glims = regions.place("G013332E47020N", data / "glims_hochalmkees/glims_polygons.shp")
    assert regions.place("Hochalmkees").geometry.contains(glims.geometry.centroid)
    known = regions.place(hef.glims_id[0], tmp_path_with(hef, tmp_path))  # by its GLIMS id in an RGI file
    np.testing.assert_allclose(known.bbox, six.bbox)


def tmp_path_with(outlines, folder):
    """A folder of inventories as they are named."""
    outlines.rename(columns={"rgi_id": "RGIId", "glims_id": "GLIMSId"}).drop(columns="time").to_file(
        folder / "glims_polygons.gpkg"
    )
    return folder


def test_a_glims_id_that_nobody_knows_is_a_point(monkeypatch):
    monkeypatch.delenv("GLACIER_NB_DATA", raising=False)
    for name, lon, lat in (("G010758E46800N", 10.758, 46.8), ("G286500E50300S", -73.5, -50.3)):
        region = regions.place(name)
        west, south, east, north = region.bbox
        assert ((west + east) / 2, (south + north) / 2) == pytest.approx((lon, lat), abs=1e-3)
        left, bottom, right, top = gpd.GeoSeries([region.geometry], crs=4326).to_crs(region.crs).total_bounds
        assert (right - left, top - bottom) == pytest.approx((2 * regions.AROUND,) * 2, rel=2e-3)


@pytest.mark.parametrize(
    ("circle", "code", "bbox"),
    [
        ("8.0,46.5,5 km", "EPSG:32632", (7.935, 46.455, 8.065, 46.545)),
        ("180,65,50km", "EPSG:32601", (178.93, 64.55, -178.93, 65.45)),
        ("-179.9 -16.5 30 km", "EPSG:32701", (179.82, -16.77, -179.62, -16.23)),
        ("0,90,300 km", "EPSG:3413", (-180, 87.31, 180, 90)),
        ("40, -89.5, 200 km", "EPSG:3031", (-180, -90, 180, -87.71)),
        ("100,80,100 km", "EPSG:3413", (94.8, 79.1, 105.2, 80.9)),
    ],
)
def test_a_point_with_a_radius_anywhere(circle, code, bbox):
    region = regions.place(circle)
    assert region.crs == code
    np.testing.assert_allclose(region.bbox, bbox, atol=0.1)
    radius = float(circle.replace("km", "").replace(",", " ").split()[2])
    grid = regions.geobox(circle, 1000)
    polar = 1.05 if code in ("EPSG:3413", "EPSG:3031") else 1.002  # their scale is up to 3 % from one
    width, height = (size / 1 for size in grid.shape)
    wide = 360 if bbox[0] == -180 else 0  # a cap takes in the circle's farthest point all round
    if not wide:
        assert 2 * radius / polar - 2 <= height <= 2.1 * radius * polar + 2
        assert 2 * radius / polar - 2 <= width <= 2.1 * radius * polar + 2
    else:
        assert min(width, height) >= 2 * radius / polar - 2


def test_shapes_across_the_antimeridian(tmp_path):
    halves = shapely.MultiPolygon([shapely.box(179.5, 65, 180, 66), shapely.box(-180, 65, -179.5, 66)])
    parts = gpd.GeoDataFrame(geometry=list(halves.geoms), crs=4326)
    parts.to_file(tmp_path / "parts.geojson")
    utm = parts.to_crs("EPSG:32601")
    given = [halves, parts, tmp_path / "parts.geojson", shapely.geometry.mapping(halves), utm,
             (179.5, 65, -179.5, 66), gpd.GeoSeries([utm.union_all().buffer(1).buffer(-1)], crs=utm.crs)]  # fmt: skip
    for one in given:
        region = regions.place(one)
        np.testing.assert_allclose(region.bbox, (179.5, 65, -179.5, 66), atol=0.01)
        assert region.crs == "EPSG:32601" and region.geometry.area == pytest.approx(1.0, abs=0.02)
        grid = regions.geobox(region, 100)
        assert grid.shape[1] * 100 < 60_000 and grid.shape[0] * 100 == pytest.approx(111_500, rel=0.02)


def test_an_outline_around_a_pole_takes_in_all_longitudes():
    ice = gpd.GeoSeries([shapely.Point(0, 0).buffer(2e6)], crs="EPSG:3031")
    region = regions.place(ice)
    assert region.crs == "EPSG:3031" and region.bbox[::2] == (-180, 180) and region.bbox[1] == -90
    left, bottom, right, top = regions.geobox(region, 10_000).boundingbox
    assert min(-left, -bottom, right, top) == pytest.approx(2e6, rel=0.01)
    assert regions.geobox((-180, 80, 180, 90), 10_000).boundingbox.span_x == pytest.approx(2 * 1.09e6, rel=0.02)


def test_outlines_are_found_across_the_antimeridian(tmp_path):
    boxes = [shapely.box(179.6, 65.2, 179.8, 65.4), shapely.box(-179.8, 65.2, -179.6, 65.4), shapely.box(0, 65, 1, 66)]
    for crs in ("EPSG:4326", "EPSG:3413"):
        frame = gpd.GeoDataFrame({"rgi_id": ["west", "east", "far"]}, geometry=boxes, crs=4326).to_crs(crs)
        frame.to_file(tmp_path / "own.gpkg")
        found = regions.inventory(tmp_path / "own.gpkg", (179.5, 65, -179.5, 66))
        assert set(found.rgi_id) == {"west", "east"}
        left, _, right, _ = found.total_bounds
        assert right - left < 50_000
