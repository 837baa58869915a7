"""Files in S3: keys and requester-pays come from the environment, and a store that fails is tried again."""

import json
import pickle
import time

import numpy as np
import pytest
import rasterio
import test_load
from odc.geo.geobox import GeoBox

from glacier_nb import load, reads, remote

boto3 = pytest.importorskip("boto3")
moto = pytest.importorskip("moto")
server = pytest.importorskip("moto.server")
werkzeug_app = pytest.importorskip("moto.moto_server.werkzeug_app")

GRID = GeoBox((60, 80), rasterio.Affine(10, 0, 600_000, 0, -10, 5_100_000), "EPSG:32632")
QUICK = reads.Patience(timeout=5, delay=0.01, attempts=3)


@pytest.fixture(scope="module")
def store():
    """An S3 store on loopback."""
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"{host}:{port}"
    running.stop()


@pytest.fixture
def scene(store, tmp_path, monkeypatch):
    """A Sentinel-2 item whose files lie in a bucket; the environment as a user with keys has it."""
    for key in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_NO_SIGN_REQUEST"):
        monkeypatch.delenv(key, raising=False)
    told = {
        "AWS_ACCESS_KEY_ID": "WHO", "AWS_SECRET_ACCESS_KEY": "HUSH", "AWS_S3_ENDPOINT": store, "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE", "AWS_DEFAULT_REGION": "us-east-1", "AWS_REQUEST_PAYER": "requester",
    }  # fmt: skip
    for key, value in told.items():
        monkeypatch.setenv(key, value)
    client = boto3.client("s3", endpoint_url=f"http://{store}")
    client.create_bucket(Bucket="scenes")
    truth = np.random.default_rng(2).uniform(0.01, 0.9, GRID.shape)
    item = test_load.sentinel2(tmp_path, "one", truth, grid=GRID, **test_load.old())
    for key in ("B04", "B12"):
        client.upload_file(item.assets[key].href, "scenes", f"one/{key}.tif")
        item.assets[key].href = f"s3://scenes/one/{key}.tif"
    return item, truth, client


def test_keys_of_the_environment_open_the_store_and_stay_there(scene):
    item, truth, _ = scene
    ds = load.cube([item], GRID, patience=QUICK)
    np.testing.assert_allclose(ds.red.compute()[0], truth, atol=0.5e-4)
    graph = b"".join(pickle.dumps(dict(array.data.dask)) for array in ds.data_vars.values())
    for secret in (b"HUSH", b"WHO"):
        assert secret not in graph and secret.decode() not in str(ds.attrs)


def test_what_is_not_in_the_store_is_named_at_once_and_not_remembered(scene, monkeypatch):
    item, truth, client = scene
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("waited before a second try"))
    item.assets["B04"].href = "s3://scenes/one/late.tif"
    ds = load.cube([item], GRID, ["red"], patience=QUICK)
    with pytest.raises(reads.ReadError, match=r"cannot read B04 of one: .*does not exist"):
        ds.red.compute()
    client.copy({"Bucket": "scenes", "Key": "one/B04.tif"}, "scenes", "one/late.tif")
    np.testing.assert_allclose(ds.red.compute()[0], truth, atol=0.5e-4)


def test_who_asks_offers_to_pay(scene, monkeypatch):
    item, truth, _ = scene
    asked, answer = [], werkzeug_app.DomainDispatcherApplication.__call__

    def heard(app, request, start):
        asked.append((request["PATH_INFO"], request.get("HTTP_X_AMZ_REQUEST_PAYER")))
        return answer(app, request, start)

    monkeypatch.setattr(werkzeug_app.DomainDispatcherApplication, "__call__", heard)
    for payer in ("requester", None):
        if payer is None:
            monkeypatch.delenv("AWS_REQUEST_PAYER")
        asked.clear()
        remote._uncache(item.assets["B04"].href)  # GDAL keeps what another test has read
        np.testing.assert_allclose(
            load.cube([item], GRID, ["red"], patience=QUICK).red.compute()[0], truth, atol=0.5e-4
        )
        assert asked and set(asked) == {("/scenes/one/B04.tif", payer)}


def test_a_store_that_asks_for_keys_opens_to_the_right_one_only(scene, store, monkeypatch):
    item, truth, _ = scene
    people = boto3.client("iam", endpoint_url=f"http://{store}")
    people.create_user(UserName="ann")
    reading = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}
    people.put_user_policy(UserName="ann", PolicyName="reads", PolicyDocument=json.dumps(reading))
    key = people.create_access_key(UserName="ann")["AccessKey"]
    monkeypatch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)  # from now on the store looks at keys
    ds = load.cube([item], GRID, ["red"], patience=QUICK)
    right = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    wrong = {
        "The AWS Access Key Id you provided does not exist": {},
        "The request signature we calculated does not match": {**right, "AWS_SECRET_ACCESS_KEY": "GUESS"},
        "403": {"AWS_NO_SIGN_REQUEST": "YES"},
    }
    for said, told in wrong.items():
        with monkeypatch.context() as tried:
            for name, value in told.items():
                tried.setenv(name, value)
            remote._uncache(item.assets["B04"].href)
            with pytest.raises(reads.ReadError, match=f"cannot read B04 of one: .*{said}") as caught:
                ds.red.compute()
        assert caught.value.report[-1].attempts == 1 and "GUESS" not in str(caught.value)
    for name, value in right.items():
        monkeypatch.setenv(name, value)  # mended in a running notebook: the same threads read with the new key
    np.testing.assert_allclose(ds.red.compute()[0], truth, atol=0.5e-4)
