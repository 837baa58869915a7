"""One block: half precision agrees, memory that runs out halves the batch, the same bits again, a GPU as a CPU."""

import numpy as np
import pytest
import torch
from small import EXACT, SYSTEM, scene, write

from glacier_nb import forward, jobs, plans, predict, systems, weights

HOW = {"window": 48, "halo": 8, "progress": False, "clean": False}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Path of weights for SYSTEM."""
    return write(tmp_path_factory.mktemp("weights"))


def test_bfloat16_tells_the_same_zones(trained):
    """Eight bits of a score: a probability moves by no more than 2 to the -8 times a score of 8, times 1/4."""
    full = predict.zones(scene(100, 90), SYSTEM, trained, **HOW)
    half = predict.zones(scene(100, 90), SYSTEM, trained, precision="bfloat16", **HOW)
    assert half.dtype == "float32" and 0 < np.abs(half - full).max() < 0.1
    sure = full.max("zone") > 0.6
    assert (half.argmax("zone") == full.argmax("zone")).where(sure, True).all() and sure.mean() > 0.2


FULL = "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError(FULL)])
def test_memory_that_runs_out_halves_the_batch_and_that_is_remembered(trained, monkeypatch, error):
    layers, sizes = scene(150, 130), []
    expected = predict.zones(layers, SYSTEM, trained, **HOW)
    finish = systems.finish

    def small(system, terms, term):
        sizes.append(len(terms["zones"]))
        if sizes[-1] > 2:
            raise error
        return finish(system, terms, term)

    monkeypatch.setattr(systems, "finish", small)
    monkeypatch.setattr(predict, "BLOCK", 1000)
    found = predict.zones(layers, SYSTEM, trained, batch=8, **HOW)
    np.testing.assert_allclose(found, expected, atol=EXACT)
    too_large = [size for size in sizes if size > 2]
    assert too_large == sorted(too_large, reverse=True) and len(too_large) == 2  # 8, 4, and never again

    def full(system, terms, term):
        raise error

    monkeypatch.setattr(systems, "finish", full)
    with pytest.raises(MemoryError, match="one window of 48 pixels does not fit the memory of cpu with small"):
        predict.zones(layers, SYSTEM, trained, **HOW)


def test_other_errors_are_not_taken_for_memory(trained, monkeypatch):
    monkeypatch.setattr(systems, "finish", lambda *given: (_ for _ in ()).throw(RuntimeError("size mismatch")))
    with pytest.raises(RuntimeError, match="size mismatch"):
        predict.zones(scene(50, 50), SYSTEM, trained, **HOW)


def test_the_same_bits_again(trained, monkeypatch):
    monkeypatch.setattr(predict, "BLOCK", 60)
    before = torch.are_deterministic_algorithms_enabled()
    first, again = (predict.zones(scene(150, 130), SYSTEM, trained, deterministic=True, **HOW) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert torch.are_deterministic_algorithms_enabled() == before


def test_networks_are_freed_when_the_run_ends(trained, monkeypatch):
    predict.zones(scene(50, 50), SYSTEM, trained, **HOW)
    assert not forward._models
    monkeypatch.setattr(systems, "finish", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        predict.zones(scene(50, 50), SYSTEM, trained, **HOW)
    assert not forward._models


def test_the_seam_is_measured_where_the_network_feels_further_than_the_halo(trained):
    narrow = predict.zones(scene(100, 90), SYSTEM, trained, **HOW)
    wide = predict.zones(scene(100, 90), SYSTEM, trained, **{**HOW, "window": 96, "halo": 24})
    assert 0 < narrow.attrs["seam"] < 0.5 and "seam" not in wide.attrs
    between = predict.zones(scene(100, 90), SYSTEM, trained, **{**HOW, "window": 64, "halo": 16})
    assert between.attrs["seam"] < narrow.attrs["seam"]


def test_a_plan_counts_what_the_run_will_do(trained, monkeypatch, capsys):
    layers = scene(150, 130).chunk(feature=-1, y=75, x=65).assign_attrs(items=["a", "b"])
    plan = predict.zones(layers, SYSTEM, trained, plan=True, symmetries=4, **HOW)
    assert isinstance(plan, plans.Plan) and str(plan) in capsys.readouterr().out
    assert plan.scenes == 2 and plan.bytes == 150 * 130 * 4 * 4 and plan.passes == 4 * plan.windows
    assert plan.minutes > 0 and plan.memory > 2**20
    seen = []
    finish = systems.finish
    monkeypatch.setattr(
        systems, "finish", lambda system, terms, term: seen.append(len(terms["zones"])) or finish(system, terms, term)
    )
    done = predict.zones(layers, SYSTEM, trained, plan=plan, symmetries=4, **HOW)
    assert sum(seen) == plan.passes
    told = done.attrs["planned"]
    assert told in capsys.readouterr().out and told.startswith(f"planned {plan.minutes:.1f} minutes, took ")


def test_a_job_is_names_and_hashes(trained):
    job = jobs.job(SYSTEM, (weights.find(trained),), "zones", 3)
    assert job.weights[0].sha256 == weights.sha256(trained)
    assert job.key != jobs.job(SYSTEM, (weights.find(trained),), "zones", 3, passes=2).key


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_what_the_cpu_gives(trained, monkeypatch):
    there = predict.zones(scene(150, 130), SYSTEM, trained, **HOW)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    here = predict.zones(scene(150, 130), SYSTEM, trained, **HOW)
    np.testing.assert_allclose(there, here, atol=1e-3)  # TF32 where the card has it
