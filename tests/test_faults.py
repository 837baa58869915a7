"""Against a server that fails on purpose a cube is complete or says what is missing, and no token is ever seen."""

import dataclasses
import hashlib
import logging
import pickle

import dask
import numpy as np
import pytest
import rasterio
import test_load
import xarray as xr
from odc.geo.geobox import GeoBox

from glacier_nb import cluster, faults, kept, ledger, load, providers, ranges, reads, serve

GRID = GeoBox((512, 768), rasterio.Affine(10, 0, 600_000, 0, -10, 5_100_000), "EPSG:32632")
QUICK = reads.Patience(timeout=1, silence=0.3, delay=0.01)
DAYS = ("2021-07-03", "2021-08-05", "2021-09-09")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Three scenes of noise, which does not compress: every block is its own request."""
    folder, rng, items = tmp_path_factory.mktemp("scenes"), np.random.default_rng(5), []
    for day in DAYS:
        truth = rng.uniform(0.01, 0.9, GRID.shape)
        scl = rng.integers(0, 12, GRID.shape)
        items.append(test_load.sentinel2(folder, day, truth, scl=scl, grid=GRID, **test_load.old(date=f"{day}T10:00Z")))
    whole = load.cube(items, GRID).compute()
    assert not whole.red.isnull().any() and len(reads.report(whole)) == 0
    return folder, items, whole


def test_a_request_that_hangs_costs_its_silence_only(scenes):
    folder, items, whole = scenes
    plan = faults.Faults(next=["", "hang"], hang=30)
    with faults.files(folder, plan) as address:
        ds = load.cube(at(address, items[:1]), GRID, ["red"], patience=reads.Patience(silence=0.1))
        assert same(ds[["red"]].compute(), whole[["red"]].isel(time=[0]))
    assert reads.report(ds).seconds.max() < 20 and plan.counts["hang"] == 1  # a minute is the limit of one try


@pytest.fixture(autouse=True)
def strangers():
    """Nothing kept from another test's server."""
    kept.forget()
    ranges._tokens.clear()


def at(address, items):
    """The items with their files at an address."""
    moved = [item.clone() for item in items]
    for item in moved:
        for asset in item.assets.values():
            asset.href = f"{address}/{asset.href.rsplit('/', 1)[1]}"
    return moved


def same(a, b):
    """Bit for bit, but for the attributes."""
    return all(np.array_equal(a[name].values, b[name].values, equal_nan=True) for name in b.data_vars)


@pytest.mark.parametrize("kind", faults.KINDS)
@pytest.mark.parametrize("when", [0, 1])
def test_what_may_pass_is_tried_again(scenes, kind, when):
    folder, items, whole = scenes
    plan = faults.Faults(next=[""] * when + [kind, kind], hang=5)
    with faults.files(folder, plan) as address:
        ds = load.cube(at(address, items[:1]), GRID, ["red"], chunks={"y": 256, "x": 384}, patience=QUICK)
        done = ds.compute(scheduler="sync")
    assert same(done[["red"]], whole[["red"]].isel(time=[0]))
    assert plan.counts[kind] == 2
    told = reads.report(ds)
    assert len(told) >= 1 and set(told.item) == {DAYS[0]} and (told.attempts > 1).all() and (told.error == "").all()


def test_five_per_cent_of_faults_change_nothing(scenes):
    folder, items, whole = scenes
    plan = faults.Faults(share=0.05, hang=5, seed=3)
    with faults.files(folder, plan) as address:
        ds = load.cube(at(address, items), GRID, chunks={"y": 128, "x": 192}, patience=QUICK)
        done = ds.compute(scheduler="threads", num_workers=8)
    assert same(done, whole)
    hit = sum(plan.counts[kind] for kind in faults.KINDS)
    assert hit > 0 and (reads.report(ds).attempts - 1).sum() >= hit


def test_a_storm_of_429_is_waited_out_and_not_fanned(scenes):
    folder, items, whole = scenes
    plan = faults.Faults(storm=(0.0, 1.5))
    hasty = dataclasses.replace(QUICK, attempts=2)  # "slow down" is no failed try
    with faults.files(folder, plan) as address:
        ds = load.cube(at(address, items), GRID, chunks={"y": 256, "x": 384}, patience=hasty)
        done = ds.compute(scheduler="threads", num_workers=8)
    assert same(done, whole)
    assert plan.counts["429"] <= 8 * 4 * 2  # at most all threads' ranges in each second: nobody asks again at once


def test_what_will_not_pass_is_final_at_once_and_named(scenes):
    folder, items, whole = scenes
    (folder / "cut.tif").write_bytes((folder / f"{DAYS[1]}_B12.tif").read_bytes()[:60_000])
    plan = faults.Faults()
    with faults.files(folder, plan) as address:
        moved = at(address, items)
        moved[0].assets["B04"].href = f"{address}/gone.tif"
        moved[1].assets["B12"].href = f"{address}/cut.tif"
        moved[2].assets["SCL"].href = f"{address}/gone.tif"
        with pytest.raises(reads.ReadError, match=rf"cannot read B04 of {DAYS[0]}: HTTP 404.*this item") as caught:
            load.cube(moved, GRID).red[0].compute()
        assert "\n" not in str(caught.value) and caught.value.report[-1].asset == "B04"
        assert pickle.loads(pickle.dumps(caught.value)).report == caught.value.report
        assert plan.counts["requests"] == 1
        ds = load.cube(moved, GRID, missing="report")
        done = ds.compute()
    told = reads.report(ds).set_index(["item", "asset"])
    assert set(told.index) == {(DAYS[0], "B04"), (DAYS[1], "B12"), (DAYS[2], "SCL")} and (told.attempts == 1).all()
    assert told.error[DAYS[0], "B04"].startswith("HTTP 404") and told.error[DAYS[1], "B12"].startswith("corrupt")
    assert told.window[DAYS[0], "B04"] == "EPSG:32632 600000 5094880 607680 5100000"
    assert done.lost.all() and not done.clear.any()
    assert done.red[0].isnull().all() and done.swir22[1].isnull().all()
    for name, others in (("red", [1, 2]), ("swir22", [0, 2])):
        assert same(done[[name]].isel(time=others), whole[[name]].isel(time=others))
    settled = reads.settle(done)
    assert settled.attrs["lost"] == 3 and [row["asset"] for row in settled.attrs["manifest"]["lost"]]
    assert reads.settle(whole).attrs["lost"] == 0 and "lost" not in reads.settle(whole).attrs["manifest"]


def test_only_the_lost_windows_are_missing(scenes):
    folder, items, whole = scenes
    impatient = dataclasses.replace(QUICK, attempts=1)
    with faults.files(folder, faults.Faults(share=0.2, kinds=("503", "reset", "cut"), seed=1)) as address:
        ds = load.cube(at(address, items), GRID, chunks={"y": 128, "x": 192}, missing="report", patience=impatient)
        done = ds.compute(scheduler="sync")
    told = reads.report(ds)
    assert 0 < len(told) < 3 * 3 * 16 and (told.error != "").all()
    where = np.zeros(done.lost.shape, bool)
    for row in told.itertuples():
        west, south, east, north = map(float, row.window.split()[1:])
        inside = (done.x > west) & (done.x < east) & (done.y > south) & (done.y < north)
        where[DAYS.index(row.item)] |= inside.transpose("y", "x").values
    np.testing.assert_array_equal(done.lost, where)
    assert not (done.clear & done.lost).any()
    np.testing.assert_array_equal(done.clear.values[~where], whole.clear.values[~where])
    np.testing.assert_array_equal(done.red.values[~where], whole.red.values[~where])


def test_a_loss_in_an_overlap_stays_one_unless_the_other_scene_saw_it(tmp_path):
    grid = GeoBox((40, 60), GRID.affine, GRID.crs)
    left, right = np.full((2, *grid.shape), np.nan)
    left[:, :30], right[:, 20:] = 0.4, 0.4
    pair = [
        test_load.sentinel2(tmp_path, name, values, grid=grid, **test_load.old())
        for name, values in (("left", left), ("right", right))
    ]
    pair[0].assets["B04"].href = str(tmp_path / "gone.tif")
    done = load.cube(pair, grid, ["red"], missing="report").compute()
    assert done.sizes["time"] == 1
    assert done.lost[0, :, :20].all() and not done.lost[0, :, 20:].any()
    assert not done.clear[0, :, :20].any() and done.clear[0, :, 20:].all()


def test_two_cubes_of_the_same_items_share_no_block(scenes):
    _, items, _ = scenes
    strict, lenient = load.cube(items, GRID), load.cube(items, GRID, missing="report")
    blocks = [{key for key in array.red.data.dask if isinstance(key, tuple)} for array in (strict, lenient)]
    assert all(blocks) and not blocks[0] & blocks[1]


def test_the_report_comes_back_from_workers(scenes, tmp_path, monkeypatch):
    folder, items, _ = scenes
    with faults.files(folder, faults.Faults()) as address, cluster.client(workers=1, threads=2) as session:
        moved = at(address, items[:1])
        moved[0].assets["B12"].href = f"{address}/gone.tif"
        ds = load.cube(moved, GRID, missing="report", chunks={"y": 256, "x": 384})
        done = ds.compute()
        here = reads.report(ds)
        monkeypatch.setattr(ledger, "_file", lambda cube: tmp_path / "of another machine")
        there = reads.report(ds)
        for ask in (ds.swir22.sum(), load.cube(moved, GRID).swir22):
            if ask.ndim:
                with pytest.raises(reads.ReadError, match=f"cannot read B12 of {DAYS[0]}"):
                    ask.compute()
        assert session.status == "running"
    assert len(here) == 4 and set(here.asset) == {"B12"} and done.lost.all()
    order = ["window"]
    assert here.sort_values(order).values.tolist() == there.sort_values(order).values.tolist()


class Plain(serve.Ranges):
    """A server that knows no ranges."""

    async def get(self, path, include_body=True):
        self.request.headers.pop("Range", None)
        await super().get(path, include_body)


def test_a_server_without_ranges_is_read_all_the_same(scenes):
    folder, items, whole = scenes
    with serve.files(folder, Plain) as address:
        done = load.cube(at(address, items[:1]), GRID, ["red"]).compute()
    assert same(done[["red"]], whole[["red"]].isel(time=[0]))


def test_tokens_expire_and_nothing_is_lost_or_told(scenes, monkeypatch, caplog):
    folder, items, whole = scenes
    plan = faults.Faults(lifetime=2, latency=0.1)
    caplog.set_level(logging.INFO, "rasterio")  # it sees no address at all, and tells of every window
    caplog.set_level(logging.DEBUG)
    with faults.files(folder, plan) as address:
        store = providers.Provider("store", address, signed=("127.0.0.1",))
        monkeypatch.setattr(providers, "PROVIDERS", (*providers.PROVIDERS, store))
        monkeypatch.setenv("PC_SDK_SAS_URL", f"{address}/sas/")
        moved = at(address, items)
        ds = load.cube(moved, GRID, ["red"], "store", {"y": 128, "x": 192})
        done = ds.compute(scheduler="threads", num_workers=2)
        graph = b"".join(pickle.dumps(dict(array.data.dask)) for array in ds.data_vars.values())
    assert same(done[["red"]], whole[["red"]]) and plan.counts["tokens"] >= 3 and "?..." in caplog.text
    told = [str(done.attrs), str([item.to_dict() for item in moved]), reads.report(ds).to_json(), caplog.text]
    for token in plan.tokens:
        assert token.encode() not in graph and not any(token in text for text in told)


@pytest.mark.parametrize("refusal", [401, 403])
def test_a_token_that_is_refused_before_its_end_is_renewed(scenes, monkeypatch, refusal):
    folder, items, whole = scenes
    plan = faults.Faults(lifetime=3600, uses=10, refusal=refusal)  # an hour is announced, ten requests are meant
    with faults.files(folder, plan) as address:
        store = providers.Provider("store", address, signed=("127.0.0.1",))
        monkeypatch.setattr(providers, "PROVIDERS", (*providers.PROVIDERS, store))
        monkeypatch.setenv("PC_SDK_SAS_URL", f"{address}/sas/")
        steady = dataclasses.replace(QUICK, silence=60, attempts=30)  # many ask at once for the last use of a token
        ds = load.cube(at(address, items), GRID, ["red"], "store", {"y": 256, "x": 384}, patience=steady)
        done = ds.compute(scheduler="threads", num_workers=4)
    assert same(done[["red"]], whole[["red"]]) and (reads.report(ds).error == "").all()
    assert plan.counts["refused"] >= plan.counts["tokens"] - 1 > 0
    served = plan.counts["good"] - plan.counts["refused"]
    assert (plan.counts["tokens"] - 1) * 10 < served <= plan.counts["tokens"] * 10  # none is thrown away unspent


class Keyed(faults._Faulty):
    """A token service for subscribers."""

    def prepare(self):
        if self.request.path.startswith("/sas/") and self.request.headers.get("Ocp-Apim-Subscription-Key") != "MINE":
            self.set_status(401)
            self.finish()


def test_a_subscription_key_comes_from_the_environment(scenes, monkeypatch):
    folder, items, whole = scenes
    with serve.files(folder, type("Handler", (Keyed,), {"faults": faults.Faults(lifetime=60)})) as address:
        store = providers.Provider("store", address, signed=("127.0.0.1",))
        monkeypatch.setattr(providers, "PROVIDERS", (*providers.PROVIDERS, store))
        monkeypatch.setenv("VSICURL_PC_SAS_TOKEN_URL", f"{address}/sas/")
        ds = load.cube(at(address, items[:1]), GRID, ["red"], "store")
        with pytest.raises(reads.ReadError, match="HTTP 401"):
            ds.red.compute()
        monkeypatch.setenv("PC_SDK_SUBSCRIPTION_KEY", "MINE")
        assert same(ds[["red"]].compute(), whole[["red"]].isel(time=[0]))
        assert b"MINE" not in pickle.dumps(dict(ds.red.data.dask))


def test_what_gdal_reads_by_itself_is_tried_again_too(scenes, monkeypatch):
    folder, items, whole = scenes
    monkeypatch.setenv("GDAL_HTTP_HEADERS", "X-Key: mine")  # a way in that only GDAL knows
    plan = faults.Faults(next=["503"] * 5)
    with faults.files(folder, plan) as address, dask.config.set(scheduler="sync"):
        ds = load.cube(at(address, items[:1]), GRID, ["red"], patience=dataclasses.replace(QUICK, timeout=5))
        assert same(ds[["red"]].compute(), whole[["red"]].isel(time=[0]))
        assert (reads.report(ds).attempts >= 2).any()
        moved = at(address, items[:1])
        moved[0].assets["B04"].href = f"{address}/late.tif"
        late = load.cube(moved, GRID, ["red"])
        with pytest.raises(reads.ReadError, match="404"):
            late.red.compute()
        (folder / "late.tif").write_bytes((folder / f"{DAYS[0]}_B04.tif").read_bytes())
        try:  # GDAL has forgotten that it was not there
            assert same(late[["red"]].compute(), whole[["red"]].isel(time=[0]))
        finally:
            (folder / "late.tif").unlink()


def test_a_run_is_made_again_without_a_network(scenes, tmp_path):
    folder, items, whole = scenes
    here = dataclasses.replace(QUICK, folder=str(tmp_path / "bytes"))
    away = dataclasses.replace(here, offline=True)
    plan = faults.Faults(lifetime=60)
    with faults.files(folder, plan) as address:
        moved = at(address, items)
        for item in moved:
            for asset in item.assets.values():
                asset.href += "?sig=" + plan.token()[0].removeprefix("sig=")
        assert same(load.cube(moved, GRID, ["red"], patience=here).compute(), whole[["red"]])
        first = plan.counts["requests"]
        kept.forget()
        assert same(load.cube(moved, GRID, ["red"], patience=here).compute(), whole[["red"]])
        assert plan.counts["requests"] - first == 6  # only whether each file is still the same
    kept.forget()
    again = load.cube(moved, GRID, ["red"], patience=away, chunks={"y": 100, "x": 100})  # other windows, the same bytes
    assert same(again.compute(), whole[["red"]])
    with pytest.raises(reads.ReadError, match=f"cannot read B12 of {DAYS[0]}: offline, and nothing of it"):
        load.cube(moved, GRID, patience=away).swir22[0].compute()
    told = b"".join(path.read_bytes() for path in (tmp_path / "bytes").rglob("facts.json"))
    assert b"sig=" not in told and b"_B04.tif" in told


def test_kept_bytes_lie_once_under_their_hash_and_damage_is_found(scenes, tmp_path):
    folder, items, whole = scenes
    here = dataclasses.replace(QUICK, folder=str(tmp_path / "bytes"))
    with faults.files(folder, faults.Faults()) as address:
        kept.forget()
        assert same(load.cube(at(address, items), GRID, ["red"], patience=here).compute(), whole[["red"]])
        objects = {path.name: path.read_bytes() for path in (tmp_path / "bytes" / "objects").rglob("?" * 64)}
        assert objects and all(hashlib.sha256(body).hexdigest() == name for name, body in objects.items())
    with faults.files(folder, faults.Faults()) as other:  # another address, the same bytes
        kept.forget()
        moved = at(other, items)
        assert same(load.cube(moved, GRID, ["red"], patience=here).compute(), whole[["red"]])
        assert {path.name for path in (tmp_path / "bytes" / "objects").rglob("?" * 64)} == set(objects)
        for path in (tmp_path / "bytes" / "objects").rglob("?" * 64):
            path.write_bytes(path.read_bytes()[:-1] + b"?")
        kept.forget()
        assert same(load.cube(moved, GRID, ["red"], patience=here).compute(), whole[["red"]])  # fetched again
    for path in (tmp_path / "bytes" / "objects").rglob("?" * 64):
        path.write_bytes(b"?" * path.stat().st_size)
    kept.forget()
    with pytest.raises(reads.ReadError, match=r"cannot read (B04|SCL) of .*: offline, and bytes"):
        load.cube(moved, GRID, ["red"], patience=dataclasses.replace(here, offline=True)).compute()


def test_a_file_that_changed_is_read_anew(tmp_path):
    rng, patience = np.random.default_rng(4), dataclasses.replace(QUICK, folder=str(tmp_path / "bytes"))
    before, after = rng.uniform(0.01, 0.9, (2, *GRID.shape))  # noise: the end of the file is not in its beginning
    one = test_load.sentinel2(tmp_path, "one", before, grid=GRID, **test_load.old())
    with faults.files(tmp_path, faults.Faults()) as address:
        ds = load.cube(at(address, [one]), GRID, ["red"], chunks={"y": 128, "x": 192}, patience=patience)
        np.testing.assert_allclose(ds.red[0, :128, :192], before[:128, :192], atol=0.5e-4)
        test_load.sentinel2(tmp_path, "one", after, grid=GRID)
        np.testing.assert_allclose(ds.red[0, 384:, 576:], after[384:, 576:], atol=0.5e-4)
        np.testing.assert_allclose(ds.red[0, :128, :192], after[:128, :192], atol=0.5e-4)
        assert (reads.report(ds).attempts == 2).all()
    kept.forget()
    away = dataclasses.replace(patience, offline=True)
    ds = load.cube(at(address, [one]), GRID, ["red"], chunks={"y": 128, "x": 192}, patience=away)
    np.testing.assert_allclose(ds.red[0, 384:, 576:], after[384:, 576:], atol=0.5e-4)  # the newest version


def test_the_environment_sets_the_patience(monkeypatch):
    monkeypatch.setenv("GLACIER_NB_READ_TIMEOUT", "2.5")
    monkeypatch.setenv("GLACIER_NB_READ_ATTEMPTS", "9")
    monkeypatch.setenv("GLACIER_NB_READ_OFFLINE", "yes")
    monkeypatch.setenv("GLACIER_NB_READ_FOLDER", "bytes")
    assert reads.Patience.here() == reads.Patience(timeout=2.5, attempts=9, offline=True, folder="bytes")
    monkeypatch.setenv("GLACIER_NB_READ_DELAY", "soon")
    with pytest.raises(ValueError, match="GLACIER_NB_READ_DELAY=soon: give a positive number"):
        reads.Patience.here()
    with pytest.raises(ValueError, match="missing='ignore'"):
        load.cube([object()], GRID, missing="ignore")
    with pytest.raises(LookupError, match="no attribute 'reads'"):
        reads.report(xr.Dataset())
