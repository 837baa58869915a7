"""What does not fit the weights is refused by name; a scene unlike the training says so in the product."""

import numpy as np
import pytest
from small import INPUTS, SYSTEM, scene, write

from glacier_nb import guards, predict, weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where weights of these tests lie."""
    return tmp_path_factory.mktemp("weights")


def test_channels_are_found_by_name_whatever_their_order(folder):
    row = weights.find(write(folder))
    layers = scene(20, 20)
    found, missing = guards.layers(layers, SYSTEM, row)
    assert found.feature.values.tolist() == list(INPUTS) and missing == []
    turned, _ = guards.layers(layers[::-1], SYSTEM, row)
    np.testing.assert_array_equal(found, turned)


def test_what_does_not_fit_is_refused(folder):
    row = weights.find(write(folder, 1, resolution=30.0))
    with pytest.raises(
        ValueError, match="weights small1 learnt from pixels of 30 m, these are 10 m: load the scene at 30"
    ):
        predict.zones(scene(20, 20), SYSTEM, row)
    assert predict.zones(scene(20, 20, pixel=25), SYSTEM, row, progress=False).shape == (3, 20, 20)
    units = scene(20, 20, pixel=30).assign_attrs(feature_units={"slope": "1", "red": "1"})
    with pytest.raises(ValueError, match="slope is in 1, and in degree for the network: convert it"):
        predict.zones(units, SYSTEM, row)
    swapped = weights.find(write(folder, 2, inputs=INPUTS[::-1]))
    with pytest.raises(
        ValueError, match="weights small2 take dh_dt, slope, nir, red; small gives red, nir, slope, dh_dt"
    ):
        predict.zones(scene(20, 20), SYSTEM, swapped)
    twice = scene(20, 20).assign_coords(feature=["nir", "red", "slope", "red", "dh_dt"])
    with pytest.raises(ValueError, match="features name red twice"):
        predict.zones(twice, SYSTEM, row)


def test_a_strange_scene_says_so_in_the_product(folder, tmp_path):
    path = write(folder, 3)
    layers = scene(60, 60)
    usual = predict.zones(layers, SYSTEM, path, progress=False)
    assert usual.attrs["domain_distance"] < guards.STRANGE and "warning" not in usual.attrs
    counts = layers.copy(data=layers.values * np.reshape([1e4, 1e4, 1, 1, 1], (5, 1, 1)))  # counts for reflectance
    with pytest.warns(UserWarning, match=r"unlike the training of small3: .* \((red|nir) "):
        found = predict.zones(counts, SYSTEM, path, progress=False, out=tmp_path / "a.zarr")
    assert found.attrs["domain_distance"] > 1000 and found.attrs["warning"].startswith("unlike the training")


def test_distance_is_that_of_the_statistics(folder):
    """A scene of the training's mean and standard deviation is at 0, one shifted by a deviation at 1."""
    row = weights.find(write(folder, 4))
    rng = np.random.default_rng(0)
    for shift in (0.0, 1.0):
        domain = guards.Domain(INPUTS, row.mean, row.std, row)
        values = rng.standard_normal((4, 100_000)) + 0.99 * shift
        domain.add(np.array([[values.shape[1]] * 4, values.sum(1), (values**2).sum(1)]))
        assert abs(domain.told()["domain_distance"] - 0.99 * shift) < 5 / np.sqrt(values.shape[1])  # standard errors
    assert guards.Domain(INPUTS, row.mean, row.std, None).told() == {}
