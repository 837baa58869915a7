"""Scenes found: the right ones, all of them, once each, in order; and one clear line for every way to ask wrongly."""

import json
import math
import re

import pystac
import pytest
import shapely.geometry

from glacier_nb import providers, scaling, search, sensors, serve

BBOX = (10.2, 46.2, 10.8, 46.8)
FAR = (-60.0, 10.0, -59.0, 11.0)


def item(name, date, cloud=None, collection="sentinel-2-l2a", lon=10.0, **properties):
    square = [[lon, 46], [lon + 1, 46], [lon + 1, 47], [lon, 47], [lon, 46]]
    more = {} if cloud is None else {"eo:cloud_cover": cloud}
    return {
        "type": "Feature", "stac_version": "1.0.0", "stac_extensions": [], "id": name, "collection": collection,
        "bbox": [lon, 46, lon + 1, 47], "geometry": {"type": "Polygon", "coordinates": [square]}, "links": [],
        "properties": {"datetime": date, **more, **properties}, "assets": {"B04": {"href": "b04.tif"}},
    }  # fmt: skip


ITEMS = [
    item("c", "2020-09-02T10:00:00.123456Z", 5),
    item("a", "2018-08-01T10:00:00Z", 80),
    item("b", "2020-01-15T10:00:00Z", 10),
    item("d", "2021-08-09T10:00:00Z"),
    item("elsewhere", "2020-08-01T10:00:00Z", 0, lon=40.0),
    item("dem", "2021-04-22T00:00:00Z", collection="cop-dem-glo-30"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("items")
    for document in ITEMS:
        (folder / f"{document['id']}.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def api(folder):
    with serve.folder(folder) as served:
        yield served.stac


@pytest.fixture(params=["api", "folder", "frozen"])
def provider(request, folder, api, tmp_path):
    if request.param == "frozen":
        everything = [pystac.Item.from_dict(document) for document in ITEMS]
        return search.freeze(everything, tmp_path / "frozen.parquet")
    return {"api": api, "folder": folder}[request.param]


def ids(items):
    return [one.id for one in items]


def test_scenes_come_sorted_from_anywhere(provider):
    assert ids(search.scenes(BBOX, provider=provider)) == ["a", "b", "c", "d"]
    assert ids(search.scenes(BBOX, "2020", provider=provider)) == ["b", "c"]
    assert ids(search.scenes(BBOX, [2018, 2021], provider=provider)) == ["a", "d"]
    assert ids(search.scenes(BBOX, ("2018-08-01", "2020-01-15"), provider=provider)) == ["a", "b"]
    assert ids(search.scenes(BBOX, "2020-02/..", provider=provider)) == ["c", "d"]
    assert ids(search.scenes(BBOX, sensor="cop-dem-glo-30", provider=provider)) == ["dem"]


def test_cloud_and_months_are_filtered_here(provider):
    assert ids(search.scenes(BBOX, max_cloud=10, provider=provider)) == ["b", "c", "d"]  # d states none
    assert ids(search.scenes(BBOX, months=[7, 8, 9], max_cloud=50, provider=provider)) == ["c", "d"]


def test_all_pages(tmp_path):
    many = [item(f"s{n:04d}", f"2020-08-{1 + n % 28:02d}T10:00:00Z") for n in range(620)]
    (tmp_path / "many.json").write_text(json.dumps({"type": "FeatureCollection", "features": many}))
    with serve.folder(tmp_path) as served:
        assert len(search.scenes(BBOX, provider=served.stac)) == 620


def test_a_box_may_cross_the_antimeridian(tmp_path):
    for name, lon in (("east", -180.0), ("west", 179.0), ("other", 0.0)):
        (tmp_path / f"{name}.json").write_text(json.dumps(item(name, "2020-08-01T10:00:00Z", lon=lon)))
    with serve.folder(tmp_path) as served:
        for provider in (served.stac, tmp_path):
            assert ids(search.scenes((179.5, 46, -179.5, 47), provider=provider)) == ["east", "west"]


def test_one_processing_of_each_acquisition():
    def processed(name, base, strip="S20200801T101010", tile="32TLS"):
        made = f"S2A_OPER_MSI_L2A_DS_ESRI_20210101T000000_{strip}_N{base}"
        properties = {"s2:datastrip_id": made, "s2:mgrs_tile": tile, "platform": "Sentinel-2A"}
        return pystac.Item.from_dict(item(name, "2020-08-01T10:00:00Z", **properties))

    old, new = processed("old", "02.12"), processed("new", "05.00")
    other_strip, other_tile = processed("strip", "02.12", "S20200801T101510"), processed("tile", "02.12", tile="32TMS")
    kept = search.newest([new, old, other_strip, other_tile])
    assert sorted(ids(kept)) == ["new", "strip", "tile"]


def test_one_processing_of_each_acquisition_of_copernicus_data_space(data):
    (one,) = real(data, "stac_other_providers/cdse/issue1043*.json")
    old, strip = one.clone(), one.clone()
    old.id, old.properties["processing:version"] = one.id.replace("N0500", "N0209"), "02.09"
    strip.id = "another-strip"
    about = strip.assets["datastrip_metadata"]
    about.href = re.sub(r"_S\d{8}T\d{6}", "_S20200322T090000", about.href)
    assert ids(search.newest([old, one, strip])) == [one.id, strip.id]


@pytest.mark.parametrize(
    ("bbox", "ask", "error", "says"),
    [
        (BBOX, {"datetime": "2024/2016"}, ValueError, "backwards"),
        (BBOX, {"datetime": [2024, 2016]}, ValueError, "backwards or repeat"),
        (BBOX, {"datetime": "last summer"}, ValueError, "is not a date"),
        (BBOX, {"months": [13]}, ValueError, "from 1"),
        (BBOX, {"sensor": "sentinel-9"}, LookupError, "sentinel-2-l2a, .*landsat-c2-l2"),
        (BBOX, {"sensor": "nasadem"}, LookupError, "has no nasadem: it has cop-dem-glo-30, sentinel-2-l2a"),
        ((46.2, 110.2, 46.8, 110.8), {}, ValueError, "longitude and latitude look swapped"),
        ((10.2, 46.8, 10.8, 46.2), {}, ValueError, "encloses nothing"),
        ((210, 46.2, 211, 46.8), {}, ValueError, "between -180 and 180"),
        ((10.2, 46.2, 10.8), {}, ValueError, "four numbers"),
        ((10.2, 46.2, math.nan, 46.8), {}, ValueError, "four numbers"),
        (FAR, {"datetime": "2020"}, LookupError, "no sentinel-2-l2a scene.*-60, 10, -59, 11 in 2020: widen"),
        (BBOX, {"datetime": "2018", "max_cloud": 20}, LookupError, "all 1 .*cloudier than 20 %: raise max_cloud"),
        (BBOX, {"datetime": "2018", "months": [2]}, LookupError, "none of 1 .*widen months"),
    ],
)
def test_a_wrong_question_gets_one_line(api, bbox, ask, error, says):
    with pytest.raises(error, match=says) as caught:
        search.scenes(bbox, provider=api, **ask)
    assert "\n" not in str(caught.value)


def test_an_unreachable_provider_says_what_to_do():
    with pytest.raises(
        ConnectionError, match=r"127\.0\.0\.1:9 does not answer: .*refused.*; check the network"
    ) as caught:
        search.scenes(BBOX, provider="http://127.0.0.1:9")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250
    with pytest.raises(FileNotFoundError, match=r"no provider 'planetary'.*planetary-computer"):
        search.scenes(BBOX, provider="planetary")


def test_frozen_items_come_back_without_signatures(tmp_path):
    signed = pystac.Item.from_dict(ITEMS[0])
    signed.assets["B04"].href = "https://x.blob.core.windows.net/a/b04.tif?st=2020&se=2021&sig=SECRET"
    path = search.freeze([signed], tmp_path / "new" / "items.parquet")
    assert b"SECRET" not in path.read_bytes() and b"se=2021" not in path.read_bytes()
    (back,) = search.thaw(path)
    assert back.assets["B04"].href == "https://x.blob.core.windows.net/a/b04.tif"
    assert [p.name for p in path.parent.iterdir()] == ["items.parquet"]
    with pytest.raises(ValueError, match=r"something\.parquet"):
        search.freeze([signed], tmp_path / "items.json")
    with pytest.raises(FileNotFoundError, match=r"search\.freeze"):
        search.thaw(tmp_path / "none.parquet")


def real(data, pattern):
    """Every real item of a group of files."""
    for path in sorted(data.glob(pattern)):
        document = json.loads(path.read_text())
        entries = document if isinstance(document, list) else document.get("features", [document])
        yield from (pystac.Item.from_dict(entry) for entry in entries if entry["type"] == "Feature")


@pytest.mark.parametrize(
    "group",
    ["stac_planetary_computer/*/*json", "stac_other_providers/*/*.json", "khumbu_stac/*/*.json"],
)
def test_real_items_freeze_and_thaw_to_the_same(data, tmp_path, group):
    before = {one.id: search.tidy(one) for one in real(data, group)}
    path = search.freeze(before.values(), tmp_path / "items.parquet")
    after = {one.id: one for one in search.thaw(path)}
    assert after.keys() == before.keys() and len(before) > 5
    for key, one in after.items():
        assert one.datetime == before[key].datetime
        assert scaling.encodings(one) == scaling.encodings(before[key])
        assert {k: a.href for k, a in one.assets.items()} == {k: a.href for k, a in before[key].assets.items()}
        assert shapely.geometry.shape(one.geometry).equals(shapely.geometry.shape(before[key].geometry))


def test_a_footprint_that_is_no_geojson_becomes_the_bbox():
    one = pystac.Item.from_dict(ITEMS[0])
    one.geometry = {"type": "MultiPolygon", "coordinates": [[], [[10.0, 46.0], [11.0, 46.0], [11.0, 47.0]]]}
    assert shapely.geometry.shape(search.footprint(one)).bounds == (10, 46, 11, 47)


def shown(one, **more):
    """Encodings of the bands that are read unless others are asked for."""
    extra = {band.name for band in sensors.sensor_of(one).bands if band.extra}
    return {name: told for name, told in scaling.encodings(one, **more).items() if name not in extra}


OPTICAL = ["blue", "green", "red", "nir", "swir16", "swir22"]


def test_every_real_planetary_computer_item_maps_to_bands(data):
    expected = {
        "sentinel-2-l2a": OPTICAL, "landsat-c2-l2": [*OPTICAL, "lwir11"], "sentinel-1-rtc": ["vv", "vh"],
        "cop-dem-glo-30": ["elevation"], "nasadem": ["elevation"], "alos-dem": ["elevation"],
    }  # fmt: skip
    items = list(real(data, "stac_planetary_computer/*/*json"))
    assert len(items) >= 85
    for one in items:
        row, found = sensors.sensor_of(one), shown(one)
        if row.name == "sentinel-1-grd":
            assert sorted(found) == sorted(p.lower() for p in one.properties["sar:polarizations"])
        else:
            surface_only = "L2SR" in one.id  # no temperature where the thermal band or its correction failed
            assert list(found) == [name for name in expected[row.name] if name != "lwir11" or not surface_only]
        for name, one_band in found.items():
            if row.name == "sentinel-2-l2a":
                late = float(one.properties["s2:processing_baseline"]) >= 4
                assert (one_band.scale, one_band.offset, one_band.nodata) == (1e-4, -0.1 if late else 0.0, 0)
            if row.name == "landsat-c2-l2":
                told = (0.00341802, 149.0) if name == "lwir11" else (2.75e-5, -0.2)
                assert (one_band.scale, one_band.offset, one_band.nodata) == (*told, 0)
            if row.name == "sentinel-1-rtc":
                assert (one_band.scale, one_band.offset, one_band.nodata) == (1, 0, -32768)


def test_every_real_item_of_other_providers_maps_to_bands(data):
    items = list(real(data, "stac_other_providers/*/*.json"))
    assert len(items) == 23
    for one in items:
        found = shown(one, doubtful=True)
        assert list(found) == OPTICAL, one.id
        applied = one.properties.get("earthsearch:boa_offset_applied")
        expected = -0.1 if scaling.baseline(one) >= 4 and not applied else 0.0
        assert {(e.scale, e.offset, e.nodata) for e in found.values()} == {(1e-4, expected, 0)}, one.id
        if applied is None:  # where the item's own word is sound, ours agrees with it
            asset = one.assets[found["red"].key].extra_fields
            declared = asset.get("raster:offset", asset.get("raster:bands", [{}])[0].get("offset"))
            assert declared == expected


def test_a_false_word_on_the_offset_is_doubted():
    told = {"s2:processing_baseline": "05.11", "earthsearch:boa_offset_applied": False}
    one = pystac.Item.from_dict(item("x", "2025-03-02T10:00:00Z", **told))
    assert scaling.encodings(one, doubtful=True)["red"].doubtful
    assert not scaling.encodings(one)["red"].doubtful


def test_the_date_decides_nothing():
    old = item("reprocessed", "2017-08-01T10:00:00Z", **{"s2:processing_baseline": "05.00"})
    late = item("late", "2023-08-01T10:00:00Z", **{"s2:processing_baseline": "03.01"})
    assert scaling.encodings(pystac.Item.from_dict(old))["red"].offset == -0.1
    assert scaling.encodings(pystac.Item.from_dict(late))["red"].offset == 0.0
    with pytest.raises(ValueError, match="neither its processing baseline nor an offset"):
        scaling.encodings(pystac.Item.from_dict(item("none", "2023-08-01T10:00:00Z")))


def of(collection, assets, **properties):
    """An item with these assets (key to fields)."""
    document = item("x", "2017-08-01T10:00:00Z", collection=collection, **properties)
    document["assets"] = {key: {"href": f"{key}.tif", **fields} for key, fields in assets.items()}
    return pystac.Item.from_dict(document)


RASTER = {"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": -0.1}


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (  # Earth Search, Collection 1: reprocessed with 05.00, nothing taken off, says so
            of("sentinel-2-c1-l2a", {"red": {"raster:bands": [RASTER]}}, **{"s2:processing_baseline": "05.00"}),
            {"red": ("red", 1e-4, -0.1, 0)},
        ),
        (  # Earth Search, first edition: the offset declared although it was taken off
            of("sentinel-2-l2a", {"red": {"raster:bands": [RASTER]}},
               **{"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}),
            {"red": ("red", 1e-4, 0.0, 0)},
        ),
        (
            of("sentinel-s2-l2a-cogs", {"B04": {}},
               **{"sentinel:processing_baseline": "04.00", "sentinel:boa_offset_applied": "true"}),
            {"red": ("B04", 1e-4, 0.0, 0)},
        ),
        (  # Copernicus Data Space
            of("sentinel-2-l2a", {"B04_10m": {"raster:scale": 1e-4, "raster:offset": -0.1, "nodata": 0}, "B04_20m": {}},
               **{"processing:version": "05.11"}),
            {"red": ("B04_10m", 1e-4, -0.1, 0)},
        ),
        (of("sentinel-2-l2a", {"B04_10m": {}}, **{"processing:version": "02.14"}), {"red": ("B04_10m", 1e-4, 0.0, 0)}),
        (  # Landsat 5 has its thermal band under another key
            of("landsat-c2-l2", {"nir08": {}, "lwir": {"raster:bands": [{"scale": 0.00341802, "offset": 149.0}]}}),
            {"nir": ("nir08", 2.75e-5, -0.2, 0), "lwir11": ("lwir", 0.00341802, 149.0, 0)},
        ),
        (  # the USGS's first catalogue names assets by file
            of(None, {"SR_B5.TIF": {"eo:bands": [{"name": "B5", "common_name": "nir08"}]}},
               **{"landsat:correction": "L2SP"}),
            {"nir": ("SR_B5.TIF", 2.75e-5, -0.2, 0)},
        ),
        (of("sentinel-1-grd", {"vv": {}, "VH": {}}), {"vv": ("vv", 1 / 600, 0, 0), "vh": ("VH", 1 / 600, 0, 0)}),
        (of(None, {"hh": {}}, **{"sar:product_type": "GRD"}), {"hh": ("hh", 1 / 600, 0, 0)}),
        (of("sentinel-1-rtc", {"vv": {}}, **{"sar:product_type": "GRD"}), {"vv": ("vv", 1.0, 0, -32768)}),
        (of("arcticdem-mosaics-v4.1-2m", {"dem": {"nodata": -9999}, "mask": {}}), {"elevation": ("dem", 1, 0, -9999)}),
        (
            of("ch.swisstopo.swissalti3d", {f"swissalti3d_2019_2600-1199_{size}_2056_5728.{kind}": {}
                                            for size in ("0.5", "2") for kind in ("tif", "xyz.zip")}),
            {"elevation": ("swissalti3d_2019_2600-1199_2_2056_5728.tif", 1, 0, -9999)},
        ),
        (of("cop-dem-glo-30-dged-cog", {"data": {}}), {"elevation": ("data", 1, 0, -32767)}),
        (of("nasadem", {"elevation": {"raster:bands": [{"nodata": "nan"}]}}), {"elevation": ("elevation", 1, 0, None)}),
    ],
)  # fmt: skip
def test_items_as_other_collections_have_them(one, expected):
    found = scaling.encodings(one)
    assert found.keys() == expected.keys()
    for name, (key, scale, offset, nodata) in expected.items():
        told = found[name]
        assert (told.key, told.scale, told.offset) == (key, pytest.approx(scale), offset)
        assert told.nodata == nodata or (nodata is None and math.isnan(told.nodata))


def test_bands_of_one_file_are_told_by_their_place():
    rgb = [{"eo:common_name": name} for name in ("red", "green", "blue")]
    old = [{"common_name": name} for name in ("blue", "green", "red", "nir")]
    for fields, order in (
        ({"bands": rgb}, ["red", "green", "blue"]),
        ({"eo:bands": old}, ["blue", "green", "red", "nir"]),
    ):
        found = scaling.encodings(of("planetscope", {"visual": {"bands": rgb}, "analytic": fields, "udm2": {}}))
        assert {name: (told.key, told.index) for name, told in found.items()} == {
            name: ("analytic", order.index(name) + 1) for name in order
        }
    picture = of("swissimage", {"swissimage-dop10_2020_2600-1199_2_2056.tif": {}})
    assert [told.index for told in scaling.encodings(picture).values()] == [1, 2, 3]


def test_items_of_a_stretch_of_time_are_found_in_it(tmp_path):
    ends = {"start_datetime": "2000-01-01T00:00:00Z", "end_datetime": "2019-12-31T00:00:00Z"}
    document = item("rate", None, collection="hugonnet-dh-dt", **ends)
    (tmp_path / "rate.json").write_text(json.dumps(document))
    for when, there in (("2010", 1), ("1999/2000", 1), ("2019/2024", 1), ("2021", 0), ("1999", 0)):
        try:
            assert len(search.scenes(BBOX, when, "hugonnet-dh-dt", tmp_path)) == there
        except LookupError:
            assert not there


def test_khumbu_items_have_no_offset_left(data):
    items = list(real(data, "khumbu_stac/sentinel-2-l2a/*.json"))
    assert len(items) == 4
    for one in items:
        assert {(e.scale, e.offset) for e in scaling.encodings(one).values()} == {(1e-4, 0.0)}


def test_rows_are_told_apart():
    names = [row.name for row in sensors.SENSORS]
    aliases = [alias for row in sensors.SENSORS for alias in (row.name, *row.collections)]
    assert len(set(names)) == len(names) and len(set(aliases)) == len(aliases)
    assert len({row.name for row in providers.PROVIDERS}) == len(providers.PROVIDERS)
    for row in sensors.SENSORS:
        assert row.bands and len({band.name for band in row.bands}) == len(row.bands)
