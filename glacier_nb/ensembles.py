"""Several opinions of the same ground: symmetries, Monte-Carlo dropout and weights in one pass; dates.

Without a source, plain or ours: `members`, `back`, `of_dates`.
"""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from glacier_nb import networks

_random = threading.Lock()
"""torch has one generator a device: who draws from it by seed draws alone."""


@dataclasses.dataclass(frozen=True)
class Members:
    """Who is asked about each window: every symmetry, `passes` times with dropout (0: once without), by each network.

    symmetries: numbers of `networks.symmetry`. seed: of the dropout.
    """

    symmetries: tuple[int, ...] = (0,)
    passes: int = 0
    seed: int = 0
    networks: int = 1

    @property
    def count(self) -> int:
        """Forward passes per window.

        >>> Members(symmetries=(0, 4), passes=3, networks=2).count
        12
        """
        return len(self.symmetries) * max(1, self.passes) * self.networks

    @property
    def several(self) -> bool:
        """Whether there is a spread, or a turn to undo: anything but one plain pass.

        >>> Members().several, Members(symmetries=(2,)).several
        (False, True)
        """
        return self != Members(seed=self.seed)


def members(symmetries: int | Sequence[int] = 1, passes: int = 0, seed: int = 0, networks: int = 1) -> Members:
    """`Members` from what a user says: symmetries as their number (1 none, 4 the quarter turns, 8 all) or by name.

    ValueError: another number of symmetries, a symmetry above 7, or negative passes.

    >>> members(symmetries=4).symmetries
    (0, 1, 2, 3)
    """
    chosen = tuple(range(symmetries)) if isinstance(symmetries, int) else tuple(symmetries)
    if isinstance(symmetries, int) and symmetries not in (1, 4, 8):
        raise ValueError(f"{symmetries} symmetries: take 1 (none), 4 (quarter turns), 8 (with mirrors), or name them")
    if not chosen or not set(chosen) <= set(range(8)):
        raise ValueError(f"symmetries {chosen}: there are 0 to 7 (see networks.symmetry), name one or more")
    if passes < 0:
        raise ValueError(f"{passes} passes of dropout: take 0 for none, 20 for a spread")
    return Members(chosen, passes, seed, networks)


def back(x: Tensor, number: int) -> Tensor:
    """Undo `networks.symmetry(x, number)`; a mirror with a turn is its own inverse.

    >>> x = torch.arange(6).reshape(2, 3)
    >>> all(torch.equal(back(networks.symmetry(x, n), n), x) for n in range(8))
    True
    """
    turned = torch.rot90(x, -(number % 4), (-2, -1))
    return turned.flip(-1) if number >= 4 else turned


def mean_and_variance(
    predictors: Sequence[Callable[[Tensor], Tensor]], x: Tensor, who: Members, seed: int
) -> tuple[Tensor, Tensor]:
    """Mean and variance (batch, score, y, x) over all members, a predictor a network, by Welford's recurrence (1962).

    The input is turned, the answer turned back. seed: of this batch, so that the dropout of a window is the same
    whoever predicts it and when. Dropout as Gal and Ghahramani 2016, arXiv:1506.02142; several networks as
    Lakshminarayanan et al. 2017, arXiv:1612.01474.
    """
    mean = square = None
    count = 0
    for predict in predictors:
        for number in who.symmetries:
            turned = networks.symmetry(x, number).contiguous(memory_format=torch.channels_last)
            for _ in range(max(1, who.passes)):
                with _drawing((who.seed, seed, count), x.device) if who.passes else contextlib.nullcontext():
                    found = back(predict(turned), number)
                count += 1
                if mean is None:
                    mean, square = found.clone(), torch.zeros_like(found)
                    continue
                off = found - mean
                mean += off / count
                square += off * (found - mean)
    return mean, square / count


def temper(zones: Tensor, mapped: Sequence[int], temperature: float) -> Tensor:
    """Zones (batch, zone, y, x) with the logit of the sum of `mapped` ones divided by `temperature`, 1: as they are.

    That sum stays 0.5 where it was, so that outlines stay; the mapped zones and the others keep their proportions.
    Guo et al. 2017, arXiv:1706.04599; each member by its own, before they are averaged.

    >>> temper(torch.tensor([0.1, 0.6, 0.3]).reshape(1, 3, 1, 1), [1, 2], 2.0).flatten().round(decimals=3).tolist()
    [0.25, 0.5, 0.25]
    """
    if temperature == 1:
        return zones
    side = torch.zeros(zones.shape[1], dtype=torch.bool, device=zones.device)
    side[list(mapped)] = True
    before = zones[:, side].sum(1, keepdim=True).clamp(1e-7, 1 - 1e-7)
    after = torch.sigmoid(torch.logit(before) / temperature)
    return zones * torch.where(side[:, None, None], after / before, (1 - after) / (1 - before))


def of_dates(maps: Sequence[xr.DataArray]) -> xr.DataArray:
    """Maps of several dates as one: their mean, and coordinate `spread`, the standard deviation; lazy where they are.

    maps: as `predict.zones` or `predict.front` gives them, (zone, y, x) or (y, x), of one system on one grid, with a
    spread of their own or not. A date counts where it saw the ground; NaN where none did. The variance is that of the
    means plus the mean of the variances. Coordinate `dates`: how many counted (y, x). attrs as of the first, without
    its time, and times. ValueError: no map, another system or another grid.

    >>> one, two = (xr.DataArray([[p, np.nan]], dims=("y", "x")) for p in (0.2, 0.6))
    >>> both = of_dates([one, two])
    >>> both.values.round(6).tolist(), round(float(both.spread[0, 0]), 3), both.dates.values.tolist()
    ([[0.4, nan]], 0.2, [[2, 0]])
    """
    if not maps:
        raise ValueError("no map to take the mean of: give one a date")
    if len({one.attrs.get("system") for one in maps}) > 1:
        raise ValueError(f"maps of {', '.join(str(one.attrs.get('system')) for one in maps)}: take those of one system")
    for one in maps[1:]:
        if one.shape != maps[0].shape or any(not one[name].equals(maps[0][name]) for name in one.dims):
            raise ValueError(f"maps of {maps[0].shape} and {one.shape}: put all dates on one grid")
    plain = xr.concat(
        [one.drop_vars("spread", errors="ignore") for one in maps], "date", coords="minimal", compat="override"
    )
    inner = sum(one.spread.fillna(0) ** 2 if "spread" in one.coords else 0.0 for one in maps)
    seen = plain.notnull()
    count = seen.sum("date")
    mean = plain.mean("date", skipna=True)
    spread = np.sqrt(((plain - mean) ** 2).mean("date", skipna=True) + inner / count.where(count > 0)).astype("float32")
    dates = count.isel(zone=0, drop=True) if "zone" in count.dims else count
    attrs = {key: value for key, value in maps[0].attrs.items() if key != "time"}
    attrs["times"] = [str(one.attrs.get("time", "")) for one in maps]
    return mean.assign_coords(spread=(mean.dims, spread.data), dates=(dates.dims, dates.data)).assign_attrs(attrs)


def allow_dropout(model: nn.Module, on: bool) -> nn.Module:
    """A model in eval mode, batch norm included, its dropout alone left on if asked; ValueError if it has none.

    Gal and Ghahramani 2016, arXiv:1506.02142.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, nn.modules.dropout._DropoutNd)]
    if on and not any(layer.p > 0 for layer in layers):
        raise ValueError(
            "Monte-Carlo dropout of a network without dropout: every pass would be the same;"
            " take symmetries or several weights for a spread"
        )
    for layer in layers:
        layer.train(on)
    return model


@contextlib.contextmanager
def _drawing(seed: Sequence[int], device: torch.device) -> Iterator[None]:
    """Random numbers by seed, alone; those of everybody else go on as if nothing had been drawn."""
    with _random, torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1, "uint64")[0]) >> 1)
        yield
