"""A list of regions becomes runs, or is refused in one line before anything runs."""

import json

import geopandas as gpd
import lightbook
import pytest
import shapely

from glacier_nb import regions, runs


@pytest.fixture
def read(tmp_path):
    """Reads a list of regions, given as text, for the light notebook."""
    book = lightbook.write(tmp_path)

    def reader(text: str, name: str = "regions.yml"):
        (tmp_path / name).write_text(text)
        return runs.read(tmp_path / name, str(book))

    return reader


def test_every_kind_of_place(read, tmp_path):
    shape = gpd.GeoSeries([shapely.box(8.0, 46.4, 8.1, 46.5)], crs=4326)
    shape.to_file(tmp_path / "valley.geojson")
    found = read(
        "- Aletsch\n- 7.93,46.38,8.15,46.57\n- [8.3, 46.5, 8.4, 46.6]\n- 8.0,46.5,5 km\n- valley.geojson\n"
        "- {region: Rhone, name: fine, years: [2000]}\n"
    )
    assert [run.name for run in found] == [
        "Aletsch", "7.93-46.38-8.15-46.57", "8.3-46.5-8.4-46.6", "8.0-46.5-5-km", "valley", "fine",
    ]  # fmt: skip
    assert found[4].parameters["region"] == str(tmp_path / "valley.geojson")  # found beside the list
    assert found[5].parameters == {"region": "Rhone", "years": [2000]}
    assert found[5].region.bbox == regions.place("Rhone").bbox
    for run in found:  # what the notebook is given is the place that was checked
        assert regions.place(run.parameters["region"]).bbox == run.region.bbox


def test_regions_times_years_times_systems(read):
    found = read(
        "defaults: {inventory: '', years: [1990]}\n"
        "each:\n  years: [[2000, 2012], [2012, 2024], 2020]\n  system: [ndsi, band-ratio-tm4-tm5]\n"
        "regions: [Aletsch, {region: Rhone, system: ndsi}]\n".replace("band-ratio-tm4-tm5", "extent-demo")
    )
    assert len(found) == 3 * 2 + 3 * 1  # a region's own parameter is not varied
    assert len({run.inputs for run in found}) == len(found)
    first = found[0]
    assert first.name == "Aletsch--2000-2012--ndsi"
    assert first.varied == {"years": [2000, 2012], "system": "ndsi"}
    assert first.parameters == {"region": "Aletsch", "inventory": "", "years": [2000, 2012], "system": "ndsi"}
    assert found[4].parameters["years"] == [2020]  # a year alone is a list of one


def test_each_feature_of_a_file_is_a_region(tmp_path):
    book = lightbook.write(tmp_path)
    shapes = [shapely.Point(500_000 + 10_000 * n, 5_100_000).buffer(1000) for n in range(12)]
    frame = gpd.GeoDataFrame({"rgi_id": [f"RGI2000-v7.0-G-11-{n:05d}" for n in range(12)]}, geometry=shapes, crs=32632)
    frame.loc[3, "rgi_id"] = None
    frame.to_parquet(tmp_path / "glaciers.parquet")
    found = runs.read(tmp_path / "glaciers.parquet", str(book))
    assert [run.name for run in found[:4]] == [*frame.rgi_id[:3], "glaciers-04"]
    for run, shape in zip(found, shapes, strict=True):
        place = regions.place(run.parameters["region"])
        assert place.name == run.name and place.bbox == run.region.bbox
        inside = gpd.GeoSeries([place.geometry], crs=4326).to_crs(32632).iloc[0]
        assert inside.contains(shape.buffer(regions.MARGIN * 0.98))  # a degree's fifth digit is a metre
        assert inside.within(shape.envelope.buffer(regions.MARGIN * 1.1, join_style="mitre"))
        back = gpd.GeoSeries([run.geometry], crs=4326).to_crs(32632).iloc[0]
        assert back.symmetric_difference(shape).area < 1e-3 * shape.area
    listed = tmp_path / "regions.yml"
    listed.write_text("- {features: glaciers.parquet, margin: 10, years: [2001]}\n")
    tight = runs.read(listed, str(book))
    assert tight[0].parameters["years"] == [2001]
    assert tight[0].region.geometry.area < 0.6 * found[0].region.geometry.area


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("regions: [Aletsch, Atlantis]", "no place 'Atlantis'"),
        ("defaults: {yeers: [2000]}\nregions: [Aletsch]", "no parameter 'yeers': it has region, years"),
        ("defaults: {seed: soon}\nregions: [Aletsch]", "seed='soon' is no int"),
        ("defaults: {seed: true}\nregions: [Aletsch]", "seed=True is no int"),
        ("regions: [{region: Aletsch, system: nonesuch}]", "no system called 'nonesuch'"),
        ("regions: [Aletsch, aletsch]", "give each region a name"),
        ("regions: [{region: Aletsch, name: failed}]", "give each region a name"),
        ("regions:", "has no regions"),
        ("just words", "has no regions"),
        ("regionz: [Aletsch]\nregions: [Rhone]", "has 'regionz': it may have defaults, each, regions"),
        ("each: {system: ndsi}\nregions: [Rhone]", "each system is 'ndsi': give a list"),
        ("defaults: [1]\nregions: [Rhone]", "defaults holds parameters"),
        ("regions: [12]", "region 1 is 12: give a name"),
        ("regions: [{features: a.gpkg, region: b}]", "both region and features"),
        ("regions: [{features: none.gpkg}]", "no file or folder"),
        ("regions: [8.0,46.5,\n  - x: [", "line"),
        ("regions: ['10,50,9,49']", "order is west, south, east, north"),
    ],
)
def test_a_list_with_a_fault_is_one_line(read, text, says):
    with pytest.raises((ValueError, LookupError, OSError), match=r"\w") as caught:
        read(text)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_inputs_change_with_all_that_decides(read, tmp_path):
    (tmp_path / "a.gpkg").write_text("one")
    listed = "regions: [{region: Aletsch, inventory: a.gpkg}]"
    (first,) = read(listed)
    assert read(listed)[0].inputs == first.inputs
    (tmp_path / "a.gpkg").write_text("two")  # the same name, another inventory
    (second,) = read(listed)
    (third,) = read("regions: [{region: Aletsch, inventory: a.gpkg, seed: 8}]")
    lightbook.write(tmp_path, lightbook.CODE + "\n# another notebook")
    (fourth,) = read(listed)
    assert len({first.inputs, second.inputs, third.inputs, fourth.inputs}) == 4


def test_dates_reach_the_notebook_as_text(read, tmp_path):
    lightbook.write(tmp_path, parameters=lightbook.PARAMETERS + '\ndates: list = []  # of two, as ["2000-02-16"]')
    (run,) = read("regions: [{region: Aletsch, dates: [2000-02-16, 2012-08-20]}]")
    assert run.parameters["dates"] == ["2000-02-16", "2012-08-20"]
    assert json.dumps(run.parameters)
