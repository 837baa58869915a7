"""What is written is whole or not there; what another process made meanwhile can stand."""

import json

import pytest

from glacier_nb import provenance


@pytest.mark.parametrize("replace", [True, False])
def test_a_folder_made_meanwhile_is_replaced_or_stands(tmp_path, replace):
    place = tmp_path / "made"
    with provenance.whole(place, replace=replace) as temporary:
        temporary.mkdir()
        (temporary / "by").write_text("this one")
        place.mkdir()
        (place / "by").write_text("another")
    assert (place / "by").read_text() == ("this one" if replace else "another")
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), provenance.whole(tmp_path / "made") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_manifest_holds_no_path_of_this_machine(tmp_path):
    """Below its folder relative to it, else the last name; what is an address, relative or no path stays as it is."""
    far = tmp_path / "my data"
    far.mkdir()
    (far / "walls.gpkg").touch()
    out = tmp_path / "out"
    same = {"provider": "https://a.b/tmp/stac", "s3": "s3://a/tmp/b.tif", "unit": "kg m-2/a", "near": "in/a.gpkg",
            "asset": "/no-such-folder/b", "html": "<b>ice</b></p>", "year": 2017, "none": None}  # fmt: skip
    facts = {
        "walls": str(far / "walls.gpkg"), "land": far / "walls.gpkg", "dems": [str(tmp_path / "a.tif"), "b.tif"],
        "scene": {"from": str(out / "data" / "a.tif")}, "note": f"{tmp_path}/x/a.gpkg, edited in {tmp_path}/y",
        "folder": str(out), "beside": f"{out}-2",
    }  # fmt: skip
    path = provenance.write(out / "manifest.json", facts | same)
    assert str(tmp_path) not in path.read_text()
    assert json.loads(path.read_text()) == same | {
        "walls": "walls.gpkg", "land": "walls.gpkg", "dems": ["a.tif", "b.tif"], "scene": {"from": "data/a.tif"},
        "note": "a.gpkg, edited in y", "folder": ".", "beside": "out-2",
    }  # fmt: skip
    assert facts["walls"] == str(far / "walls.gpkg")  # who asked goes on with the true one
