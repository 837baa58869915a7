"""A client closes what it started and nothing else, and counts the cores that there are."""

import os
import sys

import dask
import distributed
import numpy as np
import pytest
from small import SYSTEM, scene, write

from glacier_nb import cluster, predict


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


@pytest.mark.parametrize("workers", [1, 2])
def test_a_container_gives_its_memory_to_its_workers_whatever_cores_the_host_has(monkeypatch, workers):
    """By Dask's own "auto" a worker of few threads on a host of many cores got too little, and waited for ever."""
    limit = 3 * 2**30
    monkeypatch.setattr(distributed.system, "MEMORY_LIMIT", limit)
    with cluster.client(workers=workers, threads=1) as session:
        shares = [one["memory_limit"] for one in session.scheduler_info(n_workers=-1)["workers"].values()]
        pauses = session.run(lambda: dask.config.get(cluster.PAUSE)).values()
    assert shares == [limit // workers] * workers and not any(pauses)


def test_how_a_worker_keeps_memory_is_not_what_starts_next_is_told(monkeypatch):
    """A nanny would leave it in this process: a notebook's kernel kept 160 MB more of what it was done with."""
    kept = {key: value for key, value in cluster.ENVIRONMENT.items() if key.startswith("MALLOC")}
    for key in kept:
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1234567")  # what the user set stands, there and here
    with cluster.client(workers=1, threads=1) as session:
        there = session.submit(lambda: dict(os.environ)).result()
        assert {key: there[key] for key in kept} == kept | {"MALLOC_TRIM_THRESHOLD_": "1234567"}
        assert {key: os.environ[key] for key in kept if key in os.environ} == {"MALLOC_TRIM_THRESHOLD_": "1234567"}


def test_a_cluster_held_by_a_notebook_ends_with_the_cell_that_fails(scheduler, capsys):
    """Or with the next that is asked for, or when it is released; what IPython calls after each cell is taken back."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        shell.run_cell(f"from glacier_nb import cluster\nsession = cluster.held({scheduler.scheduler_address!r})")
        first = shell.user_ns["session"]
        shell.run_cell("1 + 1")
        assert first.status == "running"
        shell.run_cell(f"session = cluster.held({scheduler.scheduler_address!r})")
        session = shell.user_ns["session"]
        assert first.status == "closed" and session.status == "running"
        shell.run_cell("1 / 0")
        assert session.status == "closed" and "go on from the cell that opens it" in capsys.readouterr().out
        assert not [call for call in shell.events.callbacks["post_run_cell"] if call.__name__ == "_looked"]
        shell.run_cell(f"session = cluster.held({scheduler.scheduler_address!r})\ncluster.release()")
        assert shell.user_ns["session"].status == "closed"
    finally:
        InteractiveShell.clear_instance()


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what the gateway's libraries have to say to each other
def test_a_hub_gives_what_this_process_gives(gateway, tmp_path):
    trained = write(tmp_path)
    layers = scene(150, 130)
    here = predict.zones(layers, SYSTEM, trained, window=96, halo=30, progress=False)
    with cluster.client("gateway", workers=1, timeout=30, **gateway) as session:
        assert session.submit(sum, [1, 2]).result() == 3
        there = predict.zones(layers.chunk(y=64, x=64), SYSTEM, trained, session, window=96, halo=30, progress=False)
    np.testing.assert_allclose(there, here, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_on_a_hub_the_gateway_is_found_and_its_cluster_is_gone_after_an_error(gateway):
    import dask_gateway

    known = {"gateway.address": gateway["address"], "gateway.auth.type": "basic"}  # as DASK_GATEWAY__ADDRESS sets it
    known["gateway.auth.kwargs"] = {"username": "reader", "password": gateway["auth"].password}
    with dask.config.set(known):
        with pytest.raises(ZeroDivisionError), cluster.client(workers=1, timeout=30) as session:
            assert session.scheduler.address.startswith("gateway://")
            raise ZeroDivisionError
        with dask_gateway.Gateway() as hub:
            assert not hub.list_clusters()
        with pytest.raises(ConnectionError, match=r"no cluster gone from the gateway .*; start one"):
            cluster.held("gateway://127.0.0.1:9/gone")
    vars(hub).pop("_loop_runner", None)  # else it closes a second time when it is collected


def test_a_job_for_slurm_says_what_it_needs():
    pytest.importorskip("dask_jobqueue")
    scheduler = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with cluster.slurm(
        0, 4, "16GiB", queue="gpu", account="ice", walltime="02:00:00", scheduler_options=scheduler
    ) as jobs:
        script = jobs.job_script()
    for line in (
        "#SBATCH -p gpu",
        "#SBATCH -A ice",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --mem=16G",
        "#SBATCH -t 02:00:00",
    ):
        assert line in script.splitlines()
    assert "export OMP_NUM_THREADS=1" in script and "--nthreads 4" in script


@pytest.mark.parametrize(
    ("where", "package"), [("cuda", "dask-cuda"), ("gateway", "dask-gateway"), ("slurm", "dask-jobqueue")]
)
def test_a_library_that_is_missing_is_named(monkeypatch, where, package):
    monkeypatch.setitem(sys.modules, package.replace("-", "_"), None)
    with (
        pytest.raises(LookupError, match=f"{package} is not installed here: pip install {package}"),
        cluster.client(where),
    ):
        pass
