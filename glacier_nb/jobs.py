"""All that a worker must know to predict any block of a run: names and hashes, no tensors."""

import dataclasses
from collections.abc import Sequence

import torch
from dask.base import tokenize

from glacier_nb import ensembles
from glacier_nb import weights as trained
from glacier_nb.systems import System
from glacier_nb.weights import Weights

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""How a network may compute, and what torch casts to for it."""


@dataclasses.dataclass(frozen=True)
class Job:
    """What a worker must know to predict any block; it holds names and hashes, no tensors.

    weights: one row a network of the ensemble, or none for a network without parameters. mean, std: of each input, for
    each network. seam: whether to measure by how much neighbouring windows differ where they meet. days: of the dates
    of a series, whose channels and scores then come date by date; none: one date. temperatures: of each network's
    zones (`uncertainty.temper`), 1 where none was found. opinions: terms whose scores follow those of the zones.
    """

    system: System
    weights: tuple[Weights, ...]
    term: str
    scores: int
    mean: tuple[tuple[float, ...], ...]
    std: tuple[tuple[float, ...], ...]
    batch: int
    key: str
    members: ensembles.Members = dataclasses.field(default_factory=ensembles.Members)
    precision: str = "float32"
    compile: bool = False
    deterministic: bool = False
    seam: bool = False
    days: tuple[float, ...] = ()
    temperatures: tuple[float, ...] = (1.0,)
    opinions: tuple[str, ...] = ()

    @property
    def dates(self) -> int:
        """How many dates are predicted at once."""
        return max(1, len(self.days))

    @property
    def alike(self) -> bool:
        """Whether all networks are given the same normalised inputs."""
        return len(set(zip(self.mean, self.std, strict=True))) == 1


def weights(system: System, asked: str | Weights | Sequence[str | Weights] | None) -> tuple[Weights, ...]:
    """The rows of weights that are asked for, one with those that go with it; none where the system has none."""
    if isinstance(asked, Sequence) and not isinstance(asked, str):
        return tuple(trained.find(one, system.name) for one in asked)
    row = trained.default(system.name) if asked is None else trained.find(asked, system.name)
    return () if row is None else trained.together(row)


def job(
    system: System,
    rows: tuple[Weights, ...],
    term: str,
    scores: int,
    batch: int | None = None,
    precision: str = "float32",
    symmetries: int | Sequence[int] = 1,
    passes: int = 0,
    seed: int = 0,
    compile: bool = False,
    deterministic: bool = False,
    days: tuple[float, ...] = (),
    tempered: bool = True,
    opinions: tuple[str, ...] = (),
) -> Job:
    """What the workers must know; `scores` are those of one date. ValueError where the precision is unknown."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r}: one of {', '.join(PRECISIONS)}")
    given = [(system.mean, system.std) if system.mean else (row.mean, row.std) for row in rows]
    given = given or [(system.mean, system.std)]
    members = ensembles.members(symmetries, passes, seed, max(1, len(rows)))
    mean, std = (tuple(numbers) for numbers in zip(*given, strict=True))
    key = tokenize(str(system), [(row.name, row.sha256) for row in rows], passes > 0, compile)
    size = batch or (16 if torch.cuda.is_available() else 1)
    scores *= max(1, len(days))
    made = Job(system, rows, term, scores, mean, std, size, key, members, precision, compile, deterministic)
    warm = tuple(float(row.card.get("temperature", 1.0)) if tempered and term == "zones" else 1.0 for row in rows)
    return dataclasses.replace(made, days=days, temperatures=warm or (1.0,), opinions=opinions)
