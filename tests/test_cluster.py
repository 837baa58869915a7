"""A client closes what it started and nothing else, and counts the cores that there are."""

import os

import distributed
import pytest

from glacier_nb import cluster


@pytest.fixture(scope="module")
def scheduler():
    """Somebody else's small cluster."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, protocol="tcp://", host="127.0.0.1"
    ) as running:
        yield running


def test_local_cluster_is_gone_afterwards(capsys):
    with cluster.client(workers=1, threads=2) as session:
        address = session.scheduler.address
        assert session.submit(sum, [1, 2]).result() == 3
        assert session.submit(os.environ.get, "GDAL_CACHEMAX").result() == os.environ.get("GDAL_CACHEMAX", "64")
        (beside,) = cluster.threads_beside(session).values()
        assert beside == min(2, cluster.cores())
        assert session.dashboard_link in capsys.readouterr().out
    with pytest.raises((OSError, TimeoutError)):
        distributed.Client(address, timeout="1s")


def test_an_address_is_joined_and_left_running(scheduler):
    for _ in range(2):
        with cluster.client(scheduler.scheduler_address) as session:
            assert session.submit(max, 1, 2).result() == 2
    assert scheduler.status == distributed.core.Status.running


def test_nobody_there():
    with pytest.raises(ValueError, match="neither 'local' nor an address"), cluster.client("nowhere"):
        pass
    with pytest.raises(ConnectionError, match="no Dask"), cluster.client("tcp://127.0.0.1:1", timeout=1):
        pass


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.cfs_quota_us": "100000\n", "cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, None),
    ],
)
def test_a_container_quota_counts(monkeypatch, tmp_path, files, most):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(cluster, "CGROUPS", (tmp_path / "cpu.max", tmp_path / "cpu.cfs_quota_us"))
    affinity = len(os.sched_getaffinity(0))
    assert cluster.cores() == min(affinity, most or affinity)
