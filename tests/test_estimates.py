"""What a batch will take is told before it starts: scenes and bytes as counted by hand, nothing run."""

import json

import geopandas as gpd
import lightbook
import pytest

from glacier_nb import __main__, cluster, estimates, outcomes, runs

PARAMETERS = lightbook.PARAMETERS + '\nprovider: str = "items"  # where scenes are\nsensor: str = "sentinel-2-l2a"'
SCENES = {"2017-08-01": 10, "2017-08-11": 90, "2017-01-15": 0, "2020-08-01": 0, "2024-09-30": 70}
"""Cloud of each: of 2017 and 2024, two in late summer are clear enough."""


def item(date: str, cloud: float, **red) -> dict:
    """A scene of a square degree with two bands of 10 and 20 m, of two bytes, and a picture that nobody asks for."""
    square = [[7, 46], [8, 46], [8, 47], [7, 47], [7, 46]]
    assets = {
        "B04": {"href": "b04.tif", "proj:transform": [10, 0, 0, 0, -10, 0], **red},
        "B11": {"href": "b11.tif", "proj:transform": [20, 0, 0, 0, -20, 0]},
        "visual": {"href": "visual.tif", "proj:transform": [10, 0, 0, 0, -10, 0]},
    }
    return {
        "type": "Feature", "stac_version": "1.0.0", "stac_extensions": [], "id": date, "collection": "sentinel-2-l2a",
        "bbox": [7, 46, 8, 47], "geometry": {"type": "Polygon", "coordinates": [square]}, "links": [],
        "properties": {"datetime": f"{date}T10:00:00Z", "eo:cloud_cover": cloud}, "assets": assets,
    }  # fmt: skip


@pytest.fixture
def asked(tmp_path):
    """Two regions of a hundredth of a degree, and a third where no scene is; runs of a notebook that asks a folder."""

    def make(**red):
        folder = tmp_path / "items"
        folder.mkdir(exist_ok=True)
        for date, cloud in SCENES.items():
            (folder / f"{date}.json").write_text(json.dumps(item(date, cloud, **red)))
        book = lightbook.write(tmp_path, parameters=PARAMETERS)
        path = lightbook.listed(tmp_path, ["", ""])
        text = path.read_text() + "- {region: '9,46,9.01,46.01', name: far}\n"
        path.write_text(f"defaults: {{provider: '{folder}'}}\n{text}")
        return runs.read(path, str(book))

    return make


def area(run) -> float:
    """Square metres of a region in its UTM zone, whose scale is right to a thousandth."""
    return float(gpd.GeoSeries([run.geometry], crs=4326).to_crs(run.region.crs).area.iloc[0])


def test_scenes_and_bytes_are_those_within_the_region(asked, tmp_path):
    rows, total = estimates.plan(asked(), tmp_path / "out", jobs=2)
    assert [row.scenes for row in rows] == [2, 2, 0]
    for row in rows[:2]:
        true = 2 * 2 * area(row.run) * (1 / 10**2 + 1 / 20**2)  # scenes, bytes, pixels
        assert row.bytes == pytest.approx(true, rel=2e-3) and row.note == ""
    assert rows[2].bytes == 0 and rows[2].note.startswith("LookupError: no ") and "\n" not in rows[2].note
    assert (total.runs, total.done, total.scenes, total.bytes) == (3, 0, 4, rows[0].bytes + rows[1].bytes)
    assert not (tmp_path / "out").exists()


def test_a_file_s_size_counts_by_the_part_of_it(asked, tmp_path):
    rows, _ = estimates.plan(asked(**{"file:size": 10**9}), tmp_path / "out", jobs=1)
    part = 0.01 * 0.01  # of a square degree; this strip is 0.9 % wider than the mean one
    expected = 2 * (10**9 * part + 2 * area(rows[0].run) / 20**2)
    assert rows[0].bytes == pytest.approx(expected, rel=0.02)


def test_a_coarse_grid_reads_overviews(asked, tmp_path):
    found = asked()
    for run in found:
        run.parameters["resolution"] = 100.0
    rows, _ = estimates.plan(found, tmp_path / "out", jobs=1)
    assert rows[0].bytes == pytest.approx(2 * 2 * area(found[0]) * 2 / 100**2, rel=2e-3)
    assert estimates.size(found[0]) == pytest.approx(2 * area(found[0]) / 100**2 / 1e6, rel=2e-3)  # two dates


def test_time_and_memory_before_and_after_a_run(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "cores", lambda: 2)
    found, out = asked(), tmp_path / "out"
    rows, one = estimates.plan(found, out, jobs=1, throughput=1.0)
    _, slow = estimates.plan(found, out, jobs=1, throughput=0.5)
    _, two = estimates.plan(found, out, jobs=2, throughput=1.0)
    _, four = estimates.plan(found, out, jobs=4, throughput=1.0)
    assert one.minutes == pytest.approx(sum(row.seconds for row in rows) / 60)
    assert slow.minutes - one.minutes == pytest.approx(one.bytes / 1e6 / 60)
    assert two.minutes == pytest.approx(one.minutes / 2) and four.minutes == two.minutes  # two cores
    assert two.memory_mb == pytest.approx(2 * one.memory_mb, rel=0.01)
    assert "nothing was run here yet" in str(one)
    folder = out / found[0].name
    folder.mkdir(parents=True)
    size = estimates.size(found[0])
    outcomes.write(found[0], folder, status=outcomes.GOOD, seconds=120.0, memory_mb=500.0, size_mpx=size)
    rows, after = estimates.plan(found, out, jobs=1)
    assert (after.runs, after.done, after.source) == (2, 1, "as in 1 runs here")
    assert rows[0].seconds == pytest.approx(120, rel=1e-3) and rows[0].memory_mb == 500  # as large as the first
    assert estimates.plan(found, out, jobs=1, again=True)[1].runs == 3


def test_the_command_tells_and_runs_nothing(asked, tmp_path, capsys, monkeypatch):
    asked()
    monkeypatch.chdir(tmp_path)
    argv = ["batch", "regions.yml", "--notebook", "light.ipynb", "--out", "out", "--plan", "--jobs", "2"]
    assert __main__.main(argv) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["r000", "r001", "far"]
    assert lines[0].split()[1:3] == ["2", "scenes"] and "MiB" in lines[0] and "min" in lines[0]
    assert last.startswith("3 runs to do, 0 done: 4 scenes, ") and "MiB of memory (at 20 MB/s" in last
    assert not (tmp_path / "out").exists()


def test_of_many_runs_the_longest_are_listed(asked, tmp_path):
    rows, total = estimates.plan(asked(), tmp_path / "out", jobs=1)
    assert len(list(estimates.lines(rows * 20, total))) == 20 + 2
    first, *_, told, _ = estimates.lines(rows * 20, total)
    assert told == "... and 40 shorter ones" and first.split()[1] == "2"


def test_the_notebooks_name_their_sensors(tmp_path):
    (tmp_path / "regions.yml").write_text("- Aletsch\n")
    (run,) = runs.read(tmp_path / "regions.yml", "05_elevation_change")
    settings = {**run.defaults, **run.parameters}
    assert any(band.name == "elevation" for sensor in estimates._sensors(run, settings) for band in sensor.bands)
    (run,) = runs.read(tmp_path / "regions.yml", "03_area_change")
    assert "sentinel-2-l2a" in {sensor.name for sensor in estimates._sensors(run, {**run.defaults, **run.parameters})}
