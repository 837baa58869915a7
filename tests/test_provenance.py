"""What is written is whole or not there; what another process made meanwhile can stand."""

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
