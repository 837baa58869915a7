"""Every resource of the literature has a row that exists, or a line that says why not."""

import pytest

from glacier_nb import datasets, inventories, records, resources, sensors

ROWS = {
    "sensor": {row.name for row in sensors.SENSORS},
    "dataset": {row.name for row in datasets.DATASETS},
    "inventory": {row.name for row in inventories.INVENTORIES},
    "records": {name for name in ("lengths", "mass_balance") if callable(getattr(records, name))},
}


@pytest.mark.parametrize("one", resources.RESOURCES, ids=lambda one: one.name)
def test_a_resource_has_a_row_or_a_reason(one):
    if one.by:
        kind, name = one.by.split()
        assert name in ROWS[kind]
    else:
        assert len(one.note) > 20


def test_no_row_is_unheard_of():
    named = {tuple(one.by.split()) for one in resources.RESOURCES if one.by}
    assert {("sensor", name) for name in ROWS["sensor"]} <= named
    assert {("inventory", name) for name in ROWS["inventory"]} <= named
    assert len({one.name for one in resources.RESOURCES}) == len(resources.RESOURCES)


def test_a_resource_is_found_by_words():
    assert [one.name for one in resources.find("swiss 2016")] == ["Swiss Glacier Inventory 2016"]
    with pytest.raises(LookupError, match="no resource with 'MODIS'"):
        resources.find("MODIS")
