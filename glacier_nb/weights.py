"""Trained weights by name: hash, licence, domain, card. Ours in safetensors, published ones read without unpickling."""

import dataclasses
import functools
import hashlib
import inspect
import json
import os
import pathlib
import warnings
from collections.abc import Callable, Mapping

import numpy as np
import pooch
import torch

from glacier_nb import published, tensors
from glacier_nb.networks import names as naming

FOLDER = pathlib.Path(__file__).parent / "weights_files"


@dataclasses.dataclass(frozen=True)
class Weights:
    """One file of trained weights.

    name: what a user types. system: the row of `systems` it was trained for. file: name in `FOLDER` or under `url`,
    or any path. sha256: of the file. inputs, mean, std, resolution: channels in order, their statistics over the
    training data (the domain; also the normalisation where the system has none of its own), pixel size in metres.
    network: builds the network these weights fit, where it is not the system's own. names, layout: how the file's
    tensors are called and laid out (see `networks.names`), where that is not ours or what the network's own file says.
    also: names of rows that map together with this one where it alone is asked for. card: what the training wrote down.
    """

    name: str
    system: str
    file: str
    sha256: str
    licence: str = ""
    citation: str = ""
    url: str = ""
    inputs: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    resolution: float | None = None
    network: Callable[[int], torch.nn.Module] | None = None
    names: tuple[tuple[str, str | None], ...] = ()
    layout: str = "torch"
    also: tuple[str, ...] = ()
    card: Mapping = dataclasses.field(default_factory=dict, compare=False)


_UPSTREAM = (
    "https://raw.githubusercontent.com/yaramohajerani/FrontLearning/83712fb2a4b6fb6d6981eb3f8901084fcbe58a57/"
    "data/greenland_training.dir/unet_model_weights_{}_equalize_autocontrast_smooth_edgeEnhance_cropped_{}.h5"
)


def _mohajerani(name: str, settings: str, label: str, sha256: str, up: int = 13) -> Weights:
    """One of the six published files, by settings and label width in its file name; `up`: its first layer upwards."""
    url = _UPSTREAM.format(settings, label)
    layers = {1: "down.0.first", 2: "down.0.second", 3: "down.1.first", 4: "down.1.second"}
    layers |= {up: "up.0.first", up + 1: "up.0.second", up + 2: "neck.0", up + 3: "heads.background"}
    return Weights(
        name,
        system="mohajerani2019",
        file=url.rpartition("/")[2],
        url=url,
        sha256=sha256,
        licence="CC BY 4.0",
        citation="Mohajerani et al. 2019, doi:10.3390/rs11010074",
        inputs=("grey",),
        mean=(0.0,),
        std=(1.0,),
        resolution=48.9,
        names=tuple((rf"^conv2d_{number}\.", f"{layer}.") for number, layer in layers.items()),
        layout="keras",
    )


def _ours(name: str, sha256: str, system: str = "", also: tuple[str, ...] = ()) -> Weights:
    """One that comes with the package, named like its system unless told; all else is in its card."""
    return Weights(name, system or name, f"{name}.safetensors", sha256, also=also)


WEIGHTS = (
    _ours("extent-demo", "cb7ace6116bcd504e0995193f7c05248ee1d0c32351862726a26a5712af10e3d"),
    _ours("debris-demo", "668cae5df97b0104a8260b41b7573c9aa83fa860e47b888b58325f7681b4f746"),
    _ours("rock-demo", "cab2b9675c074ffd7d2e14cfb640250726ca49a01707ff005c77174e7068b590"),
    _ours("any-sensors", "fb4b27207be2c739d621d810cc9c6c1411bef8e56a2a6b66812bdc1b43024584"),
    _ours("front-series", "e0dd7be47ef01e1e756953f08029e8fd154dc05e61268af47fc1dff8da045acf"),
    _ours(
        "fronts-landsat",
        "0bafaef386e549a681716f9d3e9279bb7774de38e4721d3916825a284db8e281",
        also=("fronts-landsat-1", "fronts-landsat-2"),
    ),
    _ours("fronts-landsat-1", "7e42d7578f7749ffd81d2982d7935d60a306bb1849789f8c586711603072a329", "fronts-landsat"),
    _ours("fronts-landsat-2", "4d56deb258980471dfc1736f933683323d94ee8d34a13fc923f0a2599f515d13", "fronts-landsat"),
    _mohajerani(
        "mohajerani2019-3px",
        "10batches_100epochs_4layers_32init_82.22weight_w0.2drop",
        "3px",
        "026314f3a6c91690b17b353901e2afc40f0c443c05695ddd1399820a85f531c9",
    ),
    _mohajerani(
        "mohajerani2019-1px",
        "10batches_100epochs_4layers_32init_241.15weight_w0.2drop",
        "1px",
        "5f73af388e84bf4b6b5e68fe3580f41801543933cda50e02501324c31dcc16bd",
    ),
    _mohajerani(
        "mohajerani2019-1px-5layers",
        "10batches_100epochs_5layers_32init_253.89weight_w0.2drop",
        "1px",
        "764e7bbe3880e43cc59f5073affb7c2f628022a0b70510b1499b34712ded3979",
        up=17,
    ),
    _mohajerani(
        "mohajerani2019-1px-mirrored",
        "10batches_60epochs_4layers_32init_241.15weight_w0.2drop_augment-x2",
        "1px",
        "7baeecf3e90cc19969a1c9fc94a8056d6529b3bade10059d333294530fc53e3f",
    ),
    _mohajerani(
        "mohajerani2019-1px-inverted",
        "10batches_60epochs_4layers_32init_241.15weight_w0.2drop_augment-x3",
        "1px",
        "57ff78da236c753087bdf93e6b948f77456c4cacf099184ab3d0be133eb543f0",
    ),
    _mohajerani(
        "mohajerani2019-1px-30epochs",
        "3batches_30epochs_4layers_32init_241.15weight_w0.2drop",
        "1px",
        "d03542dadd32819cda567757cbfbf3332de7ee404912ff2cd8545dd997e837a8",
    ),
)


def find(name: str | os.PathLike | Weights, system: str = "") -> Weights:
    """The row of `WEIGHTS` called `name`, or a row for the file at the path `name`, with the file's sha256.

    A path is recognised by its sha256 where `WEIGHTS` has it; else described by the card (JSON of the same name)
    beside it, if there is one. A file of which neither tells the system is taken for one that the authors of `system`
    published, and has the licence that `published` knows; a warning tells that its hash is not known, and what it is.
    LookupError: no such name. FileNotFoundError: no such file.
    """
    if isinstance(name, Weights):
        return name
    for row in WEIGHTS:
        if row.name == name:
            return _described(row)
    path = pathlib.Path(name)
    if not path.exists():
        known = ", ".join(row.name for row in WEIGHTS)
        if path.suffix or len(path.parts) > 1:
            raise FileNotFoundError(f"weights {path}: no such file; give a path that exists or one of {known}")
        raise LookupError(
            f"no weights called {str(name)!r}: one of {known}, or the path of a file{published.hint(str(name))}"
        )
    digest, file = sha256(path), str(path.resolve())
    for row in WEIGHTS:
        if row.sha256 == digest:
            return dataclasses.replace(_described(row), file=file)
    row = _described(Weights(path.stem, "", file, ""))
    if system and not row.system:
        row = dataclasses.replace(row, system=system, licence=row.licence or published.licence(system))
        if not row.sha256:
            warnings.warn(
                f"{path.name}: no sha256 of it is known here, nothing tells whether it is the authors' own; it has"
                f' {digest}, and what it maps says so; {{"sha256": ...}} in {path.stem}.json beside it pins it',
                stacklevel=2,
            )
    return row if row.sha256 else dataclasses.replace(row, sha256=digest)


def default(system: str) -> Weights | None:
    """The first row trained for `system`, or None where there is none."""
    return next((_described(row) for row in WEIGHTS if row.system == system), None)


def together(row: Weights) -> tuple[Weights, ...]:
    """The rows that map where `row` is asked for: itself, then those that it names in `also`."""
    return (row, *map(find, row.also))


def _described(row: Weights) -> Weights:
    """`row` with what the card beside its file adds; what the row says itself stands."""
    path = (FOLDER / row.file).with_suffix(".json")
    if not path.exists():
        return row
    card = json.loads(path.read_text())
    told = {"card": card}
    for field in dataclasses.fields(row):
        if field.name in card and not getattr(row, field.name):
            value = card[field.name]
            told[field.name] = tuple(value) if isinstance(value, list) else value
    return dataclasses.replace(row, **told)


def sha256(path: pathlib.Path) -> str:
    """Hash of a file's bytes, as hexadecimal text; once for a file that has not changed."""
    told = os.stat(path)
    return _digest(str(path), told.st_ino, told.st_size, told.st_mtime_ns)


@functools.lru_cache(64)
def _digest(path: str, *_) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def local(row: Weights) -> pathlib.Path:
    """Where the file lies, fetched first if it is published elsewhere; ValueError if its bytes are not the row's.

    FileNotFoundError: a file of the package is missing.
    """
    path = FOLDER / row.file
    if not path.exists() and row.url:
        path = pathlib.Path(pooch.retrieve(row.url, f"sha256:{row.sha256}", path=pooch.os_cache("glacier_nb")))
    if not path.exists():
        raise FileNotFoundError(f"weights {row.name}: {path} is missing; install glacier_nb again or give a path")
    if (digest := sha256(path)) != row.sha256:
        raise ValueError(
            f"{path.name}: sha256 {digest[:12]}..., expected {row.sha256[:12]}...: not the file it is said to be;"
            " fetch it again"
        )
    return path


def load(network: torch.nn.Module, row: Weights) -> torch.nn.Module:
    """`network` with the weights of `row`; every tensor of both sides is used exactly once, or ValueError.

    Tensors are called as the row says; where it says nothing, as we call them or as the publication does by the map in
    the network's own file (`NAMES`, `LAYOUT`), with or without what wrappers put before every name ("module.").
    `published` tells what there is.

    >>> load(torch.nn.Linear(1, 1), find("no such"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    LookupError: no weights called 'no such': one of ...
    """
    given = tensors.read(local(row))
    ways = [(row.names, row.layout)]
    if not row.names:
        home = inspect.getmodule(type(network))
        ways += [(home.NAMES, home.LAYOUT)] if hasattr(home, "NAMES") else []
    faults = []
    for bare in (given, _unwrapped(given)):
        for names, layout in ways:
            try:
                return naming.fill(network, bare, names, layout)
            except ValueError as error:
                faults.append(error)
    raise ValueError(f"weights {row.name}: {faults[0]}") from None


def _unwrapped(given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors without the parts that all of their names begin with."""
    paths, shared = [name.split(".") for name in given], 0
    while paths and all(len(path) > shared + 1 and path[shared] == paths[0][shared] for path in paths):
        shared += 1
    return {".".join(path[shared:]): value for path, value in zip(paths, given.values(), strict=True)}
