"""A Dask client for where you are: this machine, or a scheduler's address. What it started, it closes."""

import contextlib
import math
import os
import pathlib
from collections.abc import Iterator

import distributed

CGROUPS = (pathlib.Path("/sys/fs/cgroup/cpu.max"), pathlib.Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))
"""Where a container's share of the CPUs is written: cgroup 2 in one file, cgroup 1 with the period beside it."""

ENVIRONMENT = {
    "GDAL_CACHEMAX": "64",  # MB in each process; GDAL's own default is 5 % of the host's memory
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",
    "OMP_NUM_THREADS": "1",  # predict sets torch's threads itself; nothing else may multiply Dask's
}
"""What a worker's process needs before it imports anything; what the user set stands."""


def cores() -> int:
    """Cores that this process may really use: the least of its CPU affinity and its container's quota, at least 1.

    >>> 1 <= cores() <= os.cpu_count()
    True
    """
    found = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    for path in CGROUPS:
        with contextlib.suppress(OSError, ValueError):
            quota, *period = path.read_text().split()
            beside = path.with_name("cpu.cfs_period_us")
            period = float(period[0]) if period else float(beside.read_text())
            if float(quota) > 0:  # "max" (ValueError) or -1: no quota
                found.append(math.ceil(float(quota) / period))
    return max(1, min(found))


@contextlib.contextmanager
def client(
    where: str = "local", workers: int = 1, threads: int = 2, memory: str | None = "auto", timeout: float = 10
) -> Iterator[distributed.Client]:
    """A `distributed.Client`, its dashboard's address printed, closed at the end of the block.

    where: "local" starts `workers` processes of `threads` threads here (no more than `cores()` in all, but one each)
    with `memory` each, and stops them at the end; an address (tcp://..., tls://..., ws://...) joins a cluster that
    somebody else runs, and leaves it running. ValueError: neither. ConnectionError: nobody answers there.
    """
    if where == "local":
        threads = max(1, min(threads, cores() // workers))
        environment = {key: os.environ.get(key, value) for key, value in ENVIRONMENT.items()}
        cluster = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            memory_limit=memory,
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
            env=environment,
        )
    elif "://" in where:
        cluster = contextlib.nullcontext(where)
    else:
        raise ValueError(f"a cluster at {where!r} is neither 'local' nor an address such as tcp://10.0.0.1:8786")
    with cluster as scheduler:
        try:
            session = distributed.Client(scheduler, timeout=timeout)
        except (OSError, TimeoutError) as error:
            raise ConnectionError(f"no Dask scheduler answers at {where}: {type(error).__name__}; start one") from None
        with session:
            print(f"Dask dashboard: {session.dashboard_link}")
            yield session


def threads_beside(session: distributed.Client) -> dict[str, int]:
    """Worker address to the number of Dask threads on that worker's host: they share its cores."""
    found = session.scheduler_info(n_workers=-1)["workers"]
    total: dict[str, int] = {}
    for worker in found.values():
        total[worker["host"]] = total.get(worker["host"], 0) + worker["nthreads"]
    return {address: total[worker["host"]] for address, worker in found.items()}
