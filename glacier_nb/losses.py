"""Losses, each taking the named terms that its arguments name, over seen pixels only.

Terms are what a network returns (raw scores, (batch, score, y, x)) and what a sample knows: `truth` (batch, y, x)
the index of the true zone in the system's zones, `front` (batch, y, x) true on the front, `seen` (batch, y, x).
A system's loss is a tuple of (function, weight, options); `total` adds them up.

Without a source, plain or ours: `total`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

Parts = Sequence[tuple[Callable[..., Tensor], float, Mapping]]


def total(parts: Parts, terms: Mapping[str, Tensor]) -> Tensor:
    """Weighted sum of the losses in `parts`, each given those of `terms` that its arguments name.

    LookupError: a loss asks for a term that neither the network nor the sample has.

    >>> ask = ((binary_cross_entropy, 2.0, {}),)
    >>> scores, truth, seen = torch.zeros(1, 1, 2, 2), torch.ones(1, 2, 2), torch.ones(1, 2, 2, dtype=bool)
    >>> round(total(ask, {"zones": scores, "truth": truth, "seen": seen}).item(), 4)  # 2 ln 2
    1.3863
    """
    return sum(weight * _call(loss, terms, options) for loss, weight, options in parts)


def _call(loss: Callable[..., Tensor], terms: Mapping[str, Tensor], options: Mapping) -> Tensor:
    """One loss with the terms it names."""
    asked = [name for name in inspect.signature(loss).parameters if name not in options]
    needed = [name for name in asked if inspect.signature(loss).parameters[name].default is inspect.Parameter.empty]
    missing = [name for name in needed if name not in terms]
    if missing:
        raise LookupError(f"loss {loss.__name__} needs {', '.join(missing)}; there is {', '.join(terms)}")
    return loss(**{name: terms[name] for name in asked if name in terms}, **options)


def _mean(values: Tensor, seen: Tensor) -> Tensor:
    """Mean over the seen pixels of each sample, then over the samples that have any."""
    count = seen.sum(dim=(1, 2))
    each = torch.where(seen, values, 0).sum(dim=(1, 2)) / count.clamp(min=1)
    return each.sum() / (count > 0).sum().clamp(min=1)


def binary_cross_entropy(zones: Tensor, truth: Tensor, seen: Tensor) -> Tensor:
    """Cross entropy of one score, the second zone against the first: per sample, summed over seen pixels / their count.

    Diaconu et al. 2023 (workshop Tackling Climate Change with Machine Learning at NeurIPS).
    """
    return _mean(functional.binary_cross_entropy_with_logits(zones[:, 0], truth.to(zones), reduction="none"), seen)


def cross_entropy(zones: Tensor, truth: Tensor, seen: Tensor, smoothing: float = 0.0, balanced: bool = False) -> Tensor:
    """Cross entropy over several zones; `smoothing` of the label is spread over all of them
    (Szegedy et al. 2016, arXiv:1512.00567).

    balanced: each zone that the batch has weighs as much as any other, however few its pixels.
    """
    target = torch.where(seen, truth, 0).long()
    values = functional.cross_entropy(zones, target, reduction="none", label_smoothing=smoothing)
    if balanced:
        count = torch.bincount(target[seen], minlength=zones.shape[1])
        values = values * (count.sum() / (count > 0).sum() / count.clamp(min=1))[target].to(values)
    return _mean(values, seen)


def focal(zones: Tensor, truth: Tensor, seen: Tensor, gamma: float = 2.0, alpha: float | None = None) -> Tensor:
    """Cross entropy times (1 - chance of the true zone) ** gamma; one score stands for the second of two zones.

    alpha: weight of the second zone, the first weighing 1 - alpha. Lin et al. 2017, arXiv:1708.02002.
    """
    target = torch.where(seen, truth, 0).long()
    scores = zones if zones.shape[1] > 1 else torch.cat([torch.zeros_like(zones), zones], dim=1)
    log = scores.log_softmax(dim=1).gather(1, target[:, None])[:, 0]
    values = -((1 - log.exp()) ** gamma) * log
    if alpha is not None:
        values = values * torch.where(target == 1, alpha, 1 - alpha)
    return _mean(values, seen)


def deep(
    deep: Sequence[Tensor], truth: Tensor, seen: Tensor, loss: Callable[..., Tensor], options: Mapping | None = None
) -> Tensor:
    """Sum of `loss` over the scores that parts of a network give on their own, each at full size.

    Deep supervision: Lee et al. 2015, arXiv:1409.5185.

    >>> levels, truth = [torch.zeros(1, 1, 2, 2)] * 2, torch.ones(1, 2, 2)
    >>> round(deep(levels, truth, truth > 0, binary_cross_entropy).item(), 4)  # 2 ln 2
    1.3863
    """
    return sum(loss(scores, truth, seen, **(options or {})) for scores in deep)


def dice(zones: Tensor, truth: Tensor, seen: Tensor) -> Tensor:
    """1 - soft Dice, mean over the zones that the batch has; in float64 it is 0 for a perfect map.

    Milletari et al. 2016, doi:10.1109/3DV.2016.79, with the sum (not the square) below.
    """
    chances = zones.softmax(dim=1) if zones.shape[1] > 1 else torch.cat([1 - zones.sigmoid(), zones.sigmoid()], dim=1)
    true = functional.one_hot(torch.where(seen, truth, 0).long(), chances.shape[1]).movedim(-1, 1)
    weight = seen[:, None].to(chances)
    both, either = ((weight * part).sum(dim=(0, 2, 3)) for part in (chances * true, chances + true))
    here = (weight * true).sum(dim=(0, 2, 3)) > 0
    return (1 - 2 * both / either.clamp(min=1e-6))[here].mean() if here.any() else (chances * 0).sum()


def foreground_dice(zones: Tensor, truth: Tensor, seen: Tensor) -> Tensor:
    """1 - soft Dice of one score's zone over the batch: what is mapped alone, not its background; 0 where all is right.

    Milletari et al. 2016, doi:10.1109/3DV.2016.79, with the sum (not the square) below, and 1 added above and below.
    """
    chance, true = zones[:, 0].sigmoid(), (truth == 1).to(zones)
    both, either = ((torch.where(seen, part, 0)).sum() for part in (chance * true, chance + true))
    return 1 - (2 * both + 1) / (either + 1)


def background_cross_entropy(background: Tensor, front: Tensor, seen: Tensor, front_weight: float) -> Tensor:
    """Cross entropy of "not the front", pixels of the front weighing `front_weight` times as much.

    Mohajerani et al. 2019, doi:10.3390/rs11010074.
    """
    off = 1 - front.to(background)
    values = functional.binary_cross_entropy_with_logits(background[:, 0], off, reduction="none")
    return _mean(values * torch.where(front.bool(), front_weight, 1.0), seen)
