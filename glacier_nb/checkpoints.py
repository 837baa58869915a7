"""Where a training stands, in one safetensors file whose header holds the rest as JSON: nothing is ever pickled."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping

import safetensors
import safetensors.torch
import torch

from glacier_nb import provenance


@dataclasses.dataclass
class Memory:
    """How far a training is: steps done, history, losses since the last validation, the best state and its loss, and
    how many validations ago that was.
    """

    step: int = 0
    history: list[dict] = dataclasses.field(default_factory=list)
    running: list[float] = dataclasses.field(default_factory=list)
    best: dict[str, torch.Tensor] = dataclasses.field(default_factory=dict)
    least: float | None = None
    since: int = 0

    def add(self, row: dict, network: torch.nn.Module) -> None:
        """Note a validation, and the network's state where it is the best so far."""
        self.history.append(row)
        self.running, self.since = [], self.since + 1
        if self.least is None or row["validation"] < self.least:
            self.least, self.since = row["validation"], 0
            self.best = {name: value.detach().cpu().clone().contiguous() for name, value in _state(network).items()}


def write(path: str | os.PathLike, told: Mapping, memory: Memory, network, optimiser, fabric) -> None:
    """Keep all that the next step depends on, whole or not at all. told: what makes this training this one."""
    if fabric.global_rank > 0:
        return
    tensors = {f"network/{name}": value for name, value in _state(network).items()}
    tensors |= {f"best/{name}": value for name, value in memory.best.items()}
    kept = optimiser.state_dict()
    numbers: dict[str, dict] = {}
    for key, values in kept["state"].items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimiser/{key}/{name}"] = value
            elif value is not None:
                numbers.setdefault(str(key), {})[name] = value
    facts = {"told": told, "groups": kept["param_groups"], "numbers": numbers}
    facts |= {name: getattr(memory, name) for name in ("step", "history", "running", "least", "since")}
    facts |= {"precision": fabric.strategy.precision.state_dict()}
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    with provenance.whole(path) as temporary:
        safetensors.torch.save_file(tensors, temporary, {"state": json.dumps(facts)})


def read(path: str | os.PathLike | None, told: Mapping, network, optimiser, fabric) -> Memory:
    """Put network and optimiser where the file says, and return how far it was; from the start where there is none.

    ValueError: the file is of another training, by what it was told, or no checkpoint.
    """
    if path is None or not pathlib.Path(path).exists():
        return Memory()
    with safetensors.safe_open(path, "pt") as file:
        facts = json.loads((file.metadata() or {}).get("state", "{}"))
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    wanted = json.loads(json.dumps(told))
    if other := [name for name in wanted if wanted[name] != facts.get("told", {}).get(name)]:
        raise ValueError(
            f"checkpoint {path} is of another training ({', '.join(other)} differ): remove it or rename it"
        )
    parts: dict[str, dict] = {"network": {}, "best": {}, "optimiser": {}}
    for name, value in tensors.items():
        kind, _, rest = name.partition("/")
        parts[kind][rest] = value
    network.load_state_dict(parts["network"])
    states: dict[int, dict] = {int(key): dict(values) for key, values in facts["numbers"].items()}
    for name, value in parts["optimiser"].items():
        key, _, what = name.partition("/")
        states.setdefault(int(key), {})[what] = value
    optimiser.load_state_dict({"state": states, "param_groups": facts["groups"]})
    fabric.strategy.precision.load_state_dict(facts["precision"])
    return Memory(facts["step"], facts["history"], facts["running"], parts["best"], facts["least"], facts["since"])


def _state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return network.state_dict()
