"""The literature, one row each: inputs, network, loss, recipe and cleaning of a published system, under one name.

The rows stand in the modules `systems_...` by task, what they are made of in `recipes`.
"""

import dataclasses
import functools
import inspect
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from glacier_nb import (
    clean,
    features,
    networks,
    systems_caffe,
    systems_change,
    systems_extent,
    systems_front,
    systems_own,
    systems_rock,
    systems_sensors,
)
from glacier_nb.recipes import Recipe, System

__all__ = [
    "SYSTEMS",
    "WATER",
    "Recipe",
    "System",
    "card",
    "find",
    "finish",
    "layers",
    "outline",
    "pretrained",
    "shows_ground",
]

SYSTEMS = (
    *systems_extent.ROWS,
    *systems_sensors.ROWS,
    *systems_change.ROWS,
    *systems_rock.ROWS,
    *systems_front.ROWS,
    *systems_caffe.ROWS,
    *systems_own.ROWS,
)
"""Every system, in the order that tables show them."""

WATER = ("ocean", "melange")
"""The zones in which a calving front ends a glacier."""


def finish(system: System, terms: Mapping[str, Tensor], wanted: str = "front") -> dict[str, Tensor]:
    """Probabilities from a network's raw terms; what is missing is derived, so that all systems are scored alike.

    A front, where it is `wanted`, is derived from zones that hold ice and water: where a pixel may be ice and one of
    its neighbours water.
    """
    asked = inspect.signature(system.finish).parameters
    known = system.finish(**{name: scores for name, scores in terms.items() if name in asked})
    met = set(system.zones) & set(clean.ICE) and set(system.zones) & set(WATER)
    if wanted == "front" and wanted not in known and met:
        ice, water = (
            sum(known["zones"][:, k : k + 1] for k, zone in enumerate(system.zones) if zone in names)
            for names in (clean.ICE, WATER)
        )
        known["front"] = torch.minimum(ice, nn.functional.max_pool2d(water, 3, stride=1, padding=1))
    return known


def mapped(system: System) -> list[int]:
    """Numbers of the zones that a system is there to map: those of ice, else all but the first.

    >>> mapped(find("extent-demo")), mapped(find("rock-demo"))
    ([1, 2], [1])
    """
    ice = [number for number, zone in enumerate(system.zones) if zone in clean.ICE]
    return ice or list(range(1, len(system.zones)))


def find(name: str | System) -> System:
    """The row of `SYSTEMS` called `name`; LookupError names all of them.

    >>> find("diaconu2023").inputs
    ('red', 'green', 'blue', 'nir', 'swir22', 'elevation')
    """
    if isinstance(name, System):
        return name
    found = {row.name: row for row in SYSTEMS}
    if name not in found:
        raise LookupError(f"no system called {name!r}: one of {', '.join(found)}")
    return found[name]


def layers(system: str | System, scene: Iterable[str]) -> list[str]:
    """Those of the system's inputs, and of what its cleaning reads, that the layers of a scene can give.

    LookupError: it can give none of the inputs.

    >>> layers("diaconu2023", ["red", "green", "blue", "nir", "swir22"])
    ['red', 'green', 'blue', 'nir', 'swir22']
    """
    system, there = find(system), set(scene)
    found = [name for name in (*system.inputs, *system.reads) if set(features.needs([name])) <= there]
    if not set(found) & set(system.inputs):
        needs, has = (", ".join(map(str, names)) for names in (features.needs(system.inputs), sorted(there)))
        raise LookupError(f"{system.name} needs {needs}; the scene has {has}: add it, or take another system")
    return found


def shows_ground(system: System) -> list[bool]:
    """For each input, whether it tells that the ground was seen: not optional, and not terrain, which is always there.

    >>> shows_ground(find("diaconu2023"))
    [True, True, True, True, True, False]
    """
    known = {row.name for row in features.FEATURES}
    terrain = [name in known and set(features.needs([name])) <= {"elevation", "dh_dt"} for name in system.inputs]
    images = [not hill for hill in terrain]
    found = [image and name not in system.optional for image, name in zip(images, system.inputs, strict=True)]
    return next((some for some in (found, images) if any(some)), [True] * len(found))


def pretrained(system: str | System, weights: str = "imagenet") -> System:
    """A row whose encoder starts from weights that its library downloads, by their name there; ValueError: it has none.

    >>> pretrained("dl4gam").network.keywords["weights"]
    'imagenet'
    """
    system = find(system)
    if "weights" not in inspect.signature(system.network).parameters:
        have = [row.name for row in SYSTEMS if "weights" in inspect.signature(row.network).parameters]
        raise ValueError(f"{system.name} has no encoder with weights to download; there are: {', '.join(have)}")
    return dataclasses.replace(system, network=functools.partial(system.network, weights=weights))


def outline(system: System) -> nn.Module:
    """The network without numbers: built in no time, to be asked for its size and stride."""
    with torch.device("meta"):
        return system.network(len(system.inputs))


def card(system: System) -> dict:
    """What a reader wants to know of a system before running it; `parameters` are counted on the network itself."""
    return {
        "name": system.name,
        "task": system.task,
        "citation": system.citation,
        "inputs": list(system.inputs),
        "reads": list(system.reads),
        "summers": system.summers,
        "outputs": list(system.zones) or ["front"],
        "parameters": networks.parameters(outline(system)),
        "reference_parameters": system.reference_parameters,
        "patch": system.recipe.patch if system.recipe else None,
        "loss": " + ".join(loss.__name__ for loss, _, _ in system.loss),
        "clean": " ".join(step.__name__ for step, _ in system.clean),
        "scores": system.scores,
        "departs": system.departs,
    }
