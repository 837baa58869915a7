"""Tensors by name as files of weights hold them: safetensors, Keras HDF5, PyTorch. No code of a file is ever run."""

import pathlib
import re
from collections.abc import Mapping

import h5py
import numpy as np
import safetensors.numpy
import torch


class _Settings:
    """Stands in for `argparse.Namespace`, in which checkpoints keep a training's settings, and drops what it is given.

    Not the class itself: its instances keep whatever a file gives them, even a `__setstate__`, which the loader would
    then call. This one has no room for any attribute, takes no argument and calls nothing.
    """

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        pass


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Arrays by name, as they lie in a safetensors, Keras HDF5 or PyTorch file, told apart by content.

    PyTorch's checkpoints (.pt, .pth, .ckpt), zipped or in the form before 1.6, are pickles. Its loader for weights only
    reads them, which makes tensors, numbers, text and containers and nothing else; settings in an `argparse.Namespace`
    are dropped. ValueError: a pickle that asks for anything else, which is named; other content.
    """
    with open(path, "rb") as file:
        head = file.read(9)
    # its header's length comes first, whose lowest byte may be that of a pickle
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return safetensors.numpy.load_file(path)
    if head.startswith((b"PK\x03\x04", b"\x80")):
        return _torch(path)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _keras(path)
    raise ValueError(f"{path.name} is neither safetensors nor Keras HDF5 nor a PyTorch checkpoint: give one of these")


def flat(tree: Mapping) -> dict[str, np.ndarray]:
    """Arrays of nested mappings, as JAX keeps them, by their names joined with "/": what safetensors can hold.

    A pickle is opened by whoever trusts it, in the environment that it was written in. Of Haiku both trees are wanted,
    parameters and state:

        params, state = pickle.loads(pathlib.Path("checkpoint.pk").read_bytes())  # as the authors' code returns them
        arrays = {**tensors.flat(params), **tensors.flat(state)}
        safetensors.numpy.save_file(arrays, "checkpoint.safetensors")

    >>> sorted(flat({"snake_head/conv1_d": {"w": np.zeros((1, 2, 3)), "b": np.zeros(3)}}))
    ['snake_head/conv1_d/b', 'snake_head/conv1_d/w']
    """
    found = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found |= {f"{name}/{rest}": array for rest, array in flat(value).items()}
        else:
            found[str(name)] = np.ascontiguousarray(value)
    return found


def _torch(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Name to array of a PyTorch checkpoint: of the state dict in it, however deep it is kept."""
    settings = torch.serialization.safe_globals([(_Settings, "argparse.Namespace")])
    try:
        with open(path, "rb") as file, settings:  # by content, whatever the name says
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle made by others may break its reader in any way
        asked = re.search(r"GLOBAL (\S+)", str(error))
        why = f"asks for {asked[1]!r}, no part of weights" if asked else "is not whole or not as torch.save writes it"
        raise ValueError(
            f"{path.name} is a pickle, which can run code when it is opened, and {why}: never run here;"
            " ask for safetensors, or convert it in three lines where you trust it (help(glacier_nb.tensors.flat))"
        ) from error
    while isinstance(found, Mapping) and not all(isinstance(value, torch.Tensor) for value in found.values()):
        found = next((found[key] for key in ("state_dict", "model_state_dict", "model") if key in found), None)
    if not isinstance(found, Mapping) or not found:
        raise ValueError(f"{path.name} holds no state dict: save network.state_dict() and give that")
    return {
        name: (value.float() if value.dtype == torch.bfloat16 else value).numpy(force=True)
        for name, value in found.items()
    }


def _keras(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Name to array of a saved Keras model, or of its weights alone."""
    found = {}
    with h5py.File(path) as file:

        def collect(name: str, node: h5py.Dataset | h5py.Group) -> None:
            if isinstance(node, h5py.Dataset):
                parts = name.split("/")  # group of the layer, then the tensor's name, which repeats it
                found["/".join(parts[1:] if len(parts) > 2 else parts)] = node[()]

        file.get("model_weights", file).visititems(collect)
    return found
