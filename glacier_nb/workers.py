"""Blocks predicted in this process or on the workers of a Dask client, in their order, read ahead of the network."""

import concurrent.futures
import contextlib
import itertools
import uuid
from collections import deque
from collections.abc import Iterator, Sequence

import distributed
import numpy as np
import torch
import xarray as xr
from distributed.protocol import pickle

from glacier_nb import cluster, forward
from glacier_nb.forward import Done
from glacier_nb.jobs import Job
from glacier_nb.slabs import Remote, Slabs, joined
from glacier_nb.windows import Block

TRIES = 3
"""How often a block is given to a worker before its loss is an error."""


def lanes(job: Job, blocks: int) -> int:
    """Blocks predicted at a time in this process: on a CPU one a core, so that no core waits inside a convolution."""
    alone = torch.cuda.is_available() or job.members.passes  # one device; one generator of random numbers
    return 1 if alone else min(cluster.cores(), max(1, blocks))


def done(
    layers: xr.DataArray, job: Job, pieces: Sequence[Block], client: distributed.Client | None = None
) -> Iterator[Done]:
    """What each of `pieces` of `layers` (channel, y, x) gives, in their order; close it to stop early.

    MemoryError: a window does not fit. RuntimeError: a block was lost with its worker `TRIES` times.
    """
    return _here(layers, job, pieces) if client is None else _there(layers, job, pieces, client)


def _here(layers: xr.DataArray, job: Job, pieces: Sequence[Block]) -> Iterator[Done]:
    """Blocks predicted in this process, in their order; the next are read meanwhile."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    side = lanes(job, len(pieces))
    slabs = Slabs(layers, [piece.extent for piece in pieces], threads=max(4, cluster.cores()))

    def one(number: int, slab: concurrent.futures.Future) -> Done:
        return forward.block(slab.result(), pieces[number], job, max(1, cluster.cores() // side))

    with (
        concurrent.futures.ThreadPoolExecutor(1) as reader,
        concurrent.futures.ThreadPoolExecutor(side) as predictor,
    ):
        waiting: deque[concurrent.futures.Future] = deque()
        try:
            for number in range(len(pieces)):
                waiting.append(predictor.submit(one, number, reader.submit(slabs.read, number)))
                if len(waiting) > side + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            predictor.shutdown(cancel_futures=True)
            reader.shutdown(cancel_futures=True)
            slabs.close()
            torch.set_num_threads(before[0])
            torch.use_deterministic_algorithms(before[1])


def _there(layers: xr.DataArray, job: Job, pieces: Sequence[Block], client: distributed.Client) -> Iterator[Done]:
    """Blocks predicted on the client's workers, in their order; one that was lost with its worker is done again."""
    beside = cluster.threads_beside(client)
    remote = Remote(client, layers, [piece.extent for piece in pieces])
    flight = sum(client.nthreads().values()) + 2

    packed = pickle.dumps((job, beside))

    def submit(number: int) -> distributed.Future:
        given = (packed, *remote.parts(number), pieces[number])
        key = f"{job.system.name}-{number}-{uuid.uuid4().hex}"
        return client.submit(cluster.unpacked, __name__, "_on_worker", *given, key=key)

    numbers = iter(range(len(pieces)))
    waiting = deque((number, submit(number)) for number in itertools.islice(numbers, flight))
    tries = 1
    try:
        while waiting:
            number, future = waiting[0]
            try:
                result = future.result()
            except (distributed.KilledWorker, concurrent.futures.CancelledError) as error:
                if tries == TRIES:
                    raise RuntimeError(
                        f"block {number} was lost with its worker {TRIES} times ({type(error).__name__}):"
                        " give workers more memory, or take a smaller batch"
                    ) from None
                tries += 1
                waiting[0] = number, submit(number)
                continue
            tries = 1
            waiting.popleft()
            remote.done(number)
            yield result
            waiting.extend((number, submit(number)) for number in itertools.islice(numbers, 1))
    finally:
        for _, future in waiting:
            future.cancel()
        with contextlib.suppress(OSError, TimeoutError):
            client.run(_forget, job.key, on_error="ignore")
        cluster.trim()


def _forget(key: str) -> None:
    """Free a job's networks on a worker, and give its memory back: it serves runs to come, with other needs."""
    forward.forget(key)
    cluster.trim()


def _on_worker(job: Job, beside: dict[str, int], parts: list[np.ndarray], targets: list, piece: Block) -> Done:
    """`forward.block` with this worker's share of its host's cores."""
    worker = distributed.get_worker()
    threads = beside.get(worker.address, worker.state.nthreads)  # a worker that came later speaks for itself
    return forward.block(joined(parts, targets), piece, job, max(1, cluster.cores() // threads))
