"""A Dask client for where you are: laptop, GPUs, a hub's gateway, SLURM, an address. What it started, it closes."""

import contextlib
import ctypes
import gc
import importlib
import math
import os
import pathlib
import sys
import types
from collections.abc import Iterator

import dask
import distributed
from distributed.protocol import pickle

CGROUPS = (pathlib.Path("/sys/fs/cgroup/cpu.max"), pathlib.Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))
"""Where a container's share of the CPUs is written: cgroup 2 in one file, cgroup 1 with the period beside it."""

LOOPBACK = "://127.0.0.1"

ENVIRONMENT = {
    "GDAL_CACHEMAX": "64",  # MB in each process; GDAL's own default is 5 % of the host's memory
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "33554432",  # Dask's own setting gives every freed array back to the system at once,
    "MALLOC_TRIM_THRESHOLD_": "67108864",  # and half of a network's time goes into fetching it again
    "OMP_NUM_THREADS": "1",  # predict sets torch's threads itself; nothing else may multiply Dask's
}
"""What a worker's process needs before it imports anything; what the user set stands."""

PAUSE = "distributed.worker.memory.pause"
"""Off: a worker paused until its memory falls may be so for ever. Past its limit it is started again."""

M_ARENA_MAX = -8
"""As malloc.h of glibc has it."""


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
    where: str = "",
    workers: int = 1,
    threads: int = 2,
    memory: str | None = "auto",
    timeout: float = 10,
    **options,
) -> Iterator[distributed.Client]:
    """A `distributed.Client`, its dashboard's address printed, closed at the end of the block.

    where: "" as `place` has it. "local" starts `workers` processes of `threads` threads here (no more than `cores()` in
    all, but one each) with `memory` each ("auto": an equal part of the machine's, or of its container's), and stops
    them at the end; "cuda" one process for each GPU here; "gateway" a cluster of `workers` by dask-gateway, as a
    JupyterHub has it set up; "slurm" as many jobs by dask-jobqueue; an address (tcp://..., tls://..., ws://..., or
    gateway://.../NAME of one's own) joins a cluster that runs already, and leaves it running. options go to
    `dask_gateway.Gateway` (address, proxy_address, auth) and its clusters, or to the cluster's class. timeout: seconds
    to wait for a scheduler, and for a gateway's first worker ten times that.
    ValueError: none of these. LookupError: a library that is not installed. ConnectionError: nobody answers there.
    """
    where = place(where)
    if where not in STARTS and "://" not in where:
        known = ", ".join(repr(name) for name in STARTS)
        raise ValueError(
            f"a cluster at {where!r} is neither 'local' nor an address such as tcp://10.0.0.1:8786, nor one of {known}"
        )
    kind, _, rest = where.partition("://")
    if kind == "gateway" and rest:
        start = _gateway(0, threads, memory, name=rest.rpartition("/")[2], **options)
    else:
        start = STARTS[where](workers, threads, memory, **options) if where in STARTS else contextlib.nullcontext(where)
    with start as scheduler:
        try:  # arrays go past the scheduler where workers can be reached
            near = where == "local" or (LOOPBACK in where and kind != "gateway")
            session = distributed.Client(scheduler, timeout=timeout, direct_to_workers=near or None)
        except (OSError, TimeoutError) as error:
            raise ConnectionError(f"no Dask scheduler answers at {where}: {type(error).__name__}; start one") from None
        with session:
            print(f"Dask dashboard: {session.dashboard_link}")
            if kind == "gateway":
                session.wait_for_workers(1, timeout=10 * timeout)
            yield session


def place(where: str = "") -> str:
    """`where`, or, of "", "gateway" where one is set up, as a JupyterHub does (DASK_GATEWAY__ADDRESS), else "local".

    >>> place("tcp://10.0.0.1:8786")
    'tcp://10.0.0.1:8786'
    """
    return where or ("gateway" if dask.config.get("gateway.address", None) else "local")


def held(where: str = "", **options) -> distributed.Client:
    """As `client`, for the cells of a notebook: open until `release`, the next call, or a cell that fails.

    So that no cluster of a gateway outlives an error unseen. Outside of IPython only the first two end it.
    """
    release()
    session = _opened.enter_context(client(where, **options))
    if (shell := _shell()) is not None:
        shell.events.register("post_run_cell", _looked)
        _opened.callback(shell.events.unregister, "post_run_cell", _looked)
    return session


def release() -> None:
    """Close what `held` opened, if anything."""
    _opened.close()


_opened = contextlib.ExitStack()


def _shell():
    """The IPython that runs this, or None."""
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


def _looked(result) -> None:
    """After each cell: one that failed ends the cluster."""
    if not result.success:
        release()
        print("The cluster was closed after this error: go on from the cell that opens it.")


def _local(workers: int, threads: int, memory: str | None, **options) -> distributed.LocalCluster:
    """Dask's own "auto" gives a worker of two threads on a hub of 32 cores and 2 GB a sixteenth of the memory."""
    with _spawning():
        return distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=max(1, min(threads, cores() // workers)),
            memory_limit=distributed.system.MEMORY_LIMIT // workers if memory == "auto" else memory,
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
            **options,
        )


def _cuda(workers: int, threads: int, memory: str | None, **options) -> distributed.LocalCluster:
    """One process for each GPU; what asks for a network's own threads is the GPU."""
    library = _imported("dask_cuda", "dask-cuda")
    with _spawning():
        return library.LocalCUDACluster(threads_per_worker=1, memory_limit=memory, **options)


@contextlib.contextmanager
def _gateway(workers: int, threads: int, memory: str | None, name: str = "", **options) -> Iterator:
    """A cluster of a gateway, which knows how large its workers are; or the one of this `name`, which goes on after."""
    library = _imported("dask_gateway", "dask-gateway")
    named = {
        name: options.pop(name) for name in ("address", "proxy_address", "public_address", "auth") if name in options
    }
    made = []
    with contextlib.ExitStack() as opened:
        opened.callback(_quiet, made)
        try:
            hub = opened.enter_context(library.Gateway(**named))
            made.append(hub)
            begun = hub.connect(name) if name else hub.new_cluster(shutdown_on_close=True, **options)
            made.append(opened.enter_context(begun))
        except (OSError, TimeoutError, ValueError, library.GatewayClusterError) as error:
            which, address = f"cluster {name}" if name else "cluster", named.get("address", "")
            raise ConnectionError(f"no {which} from the gateway {address}: {str(error).strip()}; start one") from None
        if not name:
            begun.scale(workers)
        yield begun


def _quiet(made: list) -> None:
    """A closed gateway, or a cluster's own, would close again when it is collected, and complain: not these."""
    for one in made:
        vars(getattr(one, "gateway", one)).pop("_loop_runner", None)


def slurm(workers: int = 1, threads: int = 2, memory: str | None = "8GiB", **options):
    """A `dask_jobqueue.SLURMCluster` of `workers` jobs, each one process of `threads` threads and `memory`.

    options: its own (queue, account, walltime, interface ...). Its `job_script()` shows what is submitted.
    LookupError: dask-jobqueue is not installed.
    """
    library = _imported("dask_jobqueue", "dask-jobqueue")
    given = [f"export {name}={value}" for name, value in _environment().items()]
    cluster = library.SLURMCluster(
        cores=threads,
        processes=1,
        memory="8GiB" if memory in (None, "auto") else memory,
        job_script_prologue=[*given, *options.pop("job_script_prologue", ())],
        **options,
    )
    if workers:
        cluster.scale(jobs=workers)
    return cluster


STARTS = {"local": _local, "cuda": _cuda, "gateway": _gateway, "slurm": slurm}
"""What can be started, by name: each takes workers, threads, memory and options."""


def _environment() -> dict[str, str]:
    return {key: os.environ.get(key, value) for key, value in ENVIRONMENT.items()}


@contextlib.contextmanager
def _spawning() -> Iterator[None]:
    """Have the workers that Dask starts in this block begin with `ENVIRONMENT`: glibc reads it before Python runs.

    A nanny leaves it in this process too: GDAL reads here as it does there, but what starts next (a notebook's
    kernel) is no worker, and would keep 256 MB that it is done with.
    """
    name = "distributed.nanny.pre-spawn-environ"
    before = {key: os.environ.get(key) for key in ENVIRONMENT if key.startswith("MALLOC")}
    dask.config.set({name: {**dask.config.get(name), **_environment()}, PAUSE: False})
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value


def _imported(name: str, package: str) -> types.ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise LookupError(f"{package} is not installed here: pip install {package}") from None


def trim() -> None:
    """Give the memory that this process needs no more back to the system.

    An array whose accessor (.odc, .rio) was used is in a cycle with it, which only a collection frees: 0.2 s.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # glibc's own


def few_arenas() -> None:
    """Have the threads that this process starts from now on share two of glibc's heaps; what the user set stands.

    Each has its own otherwise, and what one is done with serves no other: a sixth of the memory of a prediction.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(M_ARENA_MAX, int(_environment()["MALLOC_ARENA_MAX"]))


few_arenas()  # on import: threads that are there before keep theirs


def unpacked(module: str, name: str, packed: bytes, *arguments):
    """A module's function, of what is pickled in `packed` and the arguments, looked up where it runs.

    A scheduler unpickles every task that it is given: one that is submitted so makes it import neither the module,
    nor torch with it (170 MB).
    """
    return getattr(importlib.import_module(module), name)(*pickle.loads(packed), *arguments)


def threads_beside(session: distributed.Client) -> dict[str, int]:
    """Worker address to the number of Dask threads on that worker's host: they share its cores."""
    found = session.scheduler_info(n_workers=-1)["workers"]
    total: dict[str, int] = {}
    for worker in found.values():
        total[worker["host"]] = total.get(worker["host"], 0) + worker["nthreads"]
    return {address: total[worker["host"]] for address, worker in found.items()}
