"""What is read comes into memory with a bar, on a cluster as by threads, the same as without one."""

import re

import dask.array
import numpy as np
import pytest
import xarray as xr

from glacier_nb import cluster, ledger, reads


def lazy(block=lambda block: block + 1.0) -> xr.DataArray:
    """Four blocks of a layer (y, x), each made by a function."""
    return xr.DataArray(dask.array.zeros((4, 6), chunks=(2, 3)).map_blocks(block, dtype=float), dims=("y", "x"))


def broken(block):
    """A block that no read gets."""
    raise OSError("gone")


@pytest.mark.parametrize("where", ["threads", "cluster"])
def test_a_bar_tells_how_much_is_read(where, monkeypatch, capsys):
    monkeypatch.setitem(ledger.BAR, "delay", 0)
    if where == "threads":
        found = reads.loaded(lazy())
        with pytest.raises(OSError, match="gone"):
            reads.loaded(lazy(broken))
    else:
        with cluster.client("local", 1, 1):
            found = reads.loaded(lazy())
            with pytest.raises(OSError, match="gone"):
                reads.loaded(lazy(broken))
    assert isinstance(found.data, np.ndarray) and (found == 1).all()
    assert re.search(rf"reading: .* 0/{4 if where == 'cluster' else ''}", capsys.readouterr().err)


def test_what_is_there_at_once_shows_none(capsys):
    assert reads.loaded(lazy()).identical(lazy().compute())
    assert not capsys.readouterr().err
