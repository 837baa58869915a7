"""Losses of the systems that trace calving fronts, each taking the named terms of `losses`.

`edge` is a network's score of the front (batch, 1, y, x); `front`, as everywhere, where the front truly is. Where one
score parts glacier from water it is the glacier's, the first of a system's zones.

Without a source, plain or ours: `front_cross_entropy`.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional

from glacier_nb import contours, losses


def edge_and_ice(edge: Tensor, zones: Tensor, truth: Tensor, seen: Tensor, edge_share: float = 25 / 26) -> Tensor:
    """Cross entropy less the logarithm of the soft Jaccard index, of the ice's edge (3 pixels wide) and of the ice.

    Mean over images, which differ in how much edge they have. Cheng et al. 2021, doi:10.5194/tc-15-1663-2021.
    """
    ice = (truth == 0) & seen
    rim = ice & _spread(~ice & seen, 3)
    parts = ((edge, _spread(rim, 3), edge_share), (zones, ice, 1 - edge_share))
    return sum(share * _entropy_and_overlap(scores[:, 0], true.to(scores), seen) for scores, true, share in parts)


def _entropy_and_overlap(scores: Tensor, true: Tensor, seen: Tensor) -> Tensor:
    """Binary cross entropy - ln(soft Jaccard) of one score (batch, y, x), mean over images."""
    entropy = functional.binary_cross_entropy_with_logits(scores, true, reduction="none")
    chance, true = scores.sigmoid() * seen, true * seen
    both = (chance * true).sum(dim=(1, 2))
    either = (chance + true).sum(dim=(1, 2)) - both
    overlap = (both + 1e-12) / (either + 1e-12)
    return ((entropy * seen).sum(dim=(1, 2)) / seen.sum(dim=(1, 2)).clamp(min=1) - overlap.log()).mean()


def ice_and_edge_at_every_scale(
    zones: Tensor, edge: Tensor, deep: Sequence[Tensor], truth: Tensor, seen: Tensor
) -> Tensor:
    """Cross entropy of ice and of its edge, the rarer side weighing more, for the merged scores and for every level.

    Each image and output weighs its ones by the share of zeros and the other way round. A level's ice is averaged over
    its pixels; its edge lies where a Sobel filter of that sees anything. Heidler et al. 2022,
    doi:10.1109/TGRS.2021.3064606.
    """
    ice = ((truth == 0) & seen)[:, None].to(zones)
    weight = seen[:, None].to(zones)
    found = 0.0
    for scores in (torch.cat([zones, edge], dim=1), *deep):
        step = ice.shape[-1] // scores.shape[-1]
        small = functional.avg_pool2d(ice, step)
        found = found + _balanced(scores, torch.cat([small, _sobel(small)], dim=1), functional.avg_pool2d(weight, step))
    return found


def _sobel(image: Tensor) -> Tensor:
    """1 where a Sobel filter of (batch, 1, y, x) gives anything but 0, the edge pixels repeated outside."""
    across = image.new_tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
    kernels = torch.stack([across, across.T])[:, None]
    gradient = functional.conv2d(functional.pad(image, (1, 1, 1, 1), mode="replicate"), kernels)
    return (gradient.abs() > 1e-6).any(dim=1, keepdim=True).to(image)


def _balanced(scores: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """Binary cross entropy whose two sides weigh as much as the other is frequent."""
    ones = (true * weight).sum(dim=(2, 3), keepdim=True) / weight.sum(dim=(2, 3), keepdim=True).clamp(min=1e-6)
    values = -(1 - ones) * true * functional.logsigmoid(scores) - ones * (1 - true) * functional.logsigmoid(-scores)
    return (values * weight).sum() / weight.expand_as(values).sum().clamp(min=1e-6)


def front_cross_entropy(edge: Tensor, front: Tensor, front_weight: float) -> Tensor:
    """Cross entropy of a front, whose pixels weigh `front_weight` times as much, on every pixel.

    Seen or not: where nobody says what lies on either side, the label still says that no front is there.
    """
    values = functional.binary_cross_entropy_with_logits(edge[:, 0], front.to(edge), reduction="none")
    return (values * torch.where(front.bool(), front_weight, 1.0)).mean()


def near_front(edge: Tensor, front: Tensor, seen: Tensor, wide: int = 5, beyond: float = 0.1) -> Tensor:
    """1 - Dice of a front widened to `wide` pixels; what is found far off it weighs `beyond`, the middle of it 1.

    The weight rises as a sigmoid of the distance (pixels) into the front widened once more. Over the whole batch.
    Gourmelon et al. 2022, doi:10.5194/essd-14-4287-2022.
    """
    true = _spread(front.bool() & seen, wide)
    wider = _spread(true, wide)
    away = np.stack([distance_transform_edt(mask) for mask in wider.cpu().numpy()])
    inside = edge.new_tensor(away).sigmoid() - 0.5
    most = inside.amax(dim=(1, 2), keepdim=True)
    weight = torch.where(most > 0, inside / most.clamp(min=1e-6) + beyond * ~wider, 1.0)
    chance = edge[:, 0].sigmoid() * weight * seen
    both, either = (chance * true).sum(), chance.sum() + true.sum()
    return 1 - 2 * both / either.clamp(min=1e-7)


def with_unavailable(zones: Tensor, truth: Tensor, seen: Tensor) -> Tensor:
    """Half cross entropy, half 1 - Dice, of scores that begin with one for "not available": what is not seen.

    Gourmelon et al. 2022, doi:10.5194/essd-14-4287-2022.
    """
    labels, everywhere = _with_unavailable(truth, seen), torch.ones_like(seen)
    return 0.5 * functional.cross_entropy(zones, labels) + 0.5 * losses.dice(zones, labels, everywhere)


def hooked(
    target: Tensor,
    context: Tensor,
    truth: Tensor,
    seen: Tensor,
    deep: Sequence[Tensor] = (),
    each: float = 1.0,
    deeper: float = 0.5,
) -> Tensor:
    """Cross entropy + (1 - Dice) of a target window (`each`), of its context (`each`) and of deep targets (`deeper`).

    truth, seen: of the whole window (batch, y, x); its middle half is the target, every second pixel the context, and
    a deep score has the label of the nearest pixel (an average of zone numbers would be another zone). Scores begin
    with one for "not available". Wu et al. 2023, doi:10.1109/TGRS.2023.3245419; 2024, doi:10.1109/TGRS.2024.3368215.
    """
    labels = _with_unavailable(truth, seen)
    middle = _middle(labels)
    found = each * (_entropy_and_dice(target, middle) + _entropy_and_dice(context, labels[:, ::2, ::2]))
    return found + deeper * sum(_entropy_and_dice(scores, _nearest(middle, scores)) for scores in deep)


def contrast(
    features: Sequence[Tensor],
    target: Tensor,
    truth: Tensor,
    seen: Tensor,
    views: int = 8,
    temperature: float = 1.0,
    base: float = 6.0,
) -> Tensor:
    """Features of the same zone drawn together and of others apart, summed over the hooked maps of a target window.

    features: of unit length over the channels. Of each zone with more than `views` pixels in a map, `views` are drawn,
    half of them mapped wrongly where there are as many. Wu et al. 2025, arXiv:2512.14639, after Wang et al. 2021,
    arXiv:2101.11939.
    """
    labels, guesses = _middle(_with_unavailable(truth, seen)), target.argmax(dim=1)
    found = target.sum() * 0
    for maps in features:
        drawn = _drawn(maps, _nearest(labels, maps), _nearest(guesses, maps), views)
        if drawn is not None:
            found = found + _together(*drawn, temperature, base)
    return found


def _drawn(maps: Tensor, labels: Tensor, guesses: Tensor, views: int) -> tuple[Tensor, Tensor] | None:
    """(n, channel) features and (n,) zones of the pixels that are compared; None where no zone has enough."""
    taken, zones = [], []
    for image, label, guess in zip(maps, labels, guesses, strict=True):
        for zone in label.unique().tolist():
            wrong, right = ((label == zone) & (guess != zone)).nonzero(), ((label == zone) & (guess == zone)).nonzero()
            if len(wrong) + len(right) <= views:
                continue
            hard = min(len(wrong), max(views // 2, views - len(right)))
            picks = [
                spots[torch.randperm(len(spots))[:count]] for spots, count in ((wrong, hard), (right, views - hard))
            ]
            y, x = torch.cat(picks).unbind(1)
            taken.append(image[:, y, x].T)
            zones.append(torch.full((views,), zone, device=maps.device))
    return (torch.cat(taken), torch.cat(zones)) if taken else None


def _together(points: Tensor, zones: Tensor, temperature: float, base: float) -> Tensor:
    """Mean over points of - temperature / base x the mean log chance of each other point of the same zone."""
    alike = zones[:, None] == zones
    scores = points @ points.T / temperature
    scores = scores - scores.detach().amax(dim=1, keepdim=True)
    others = (scores.exp() * ~alike).sum(dim=1, keepdim=True)
    chance = scores - (scores.exp() + others + 1e-10).log()
    pairs = alike & ~torch.eye(len(points), dtype=torch.bool, device=points.device)
    return -(temperature / base) * ((chance * pairs).sum(dim=1) / pairs.sum(dim=1).clamp(min=1)).mean()


def line(steps: Sequence[Tensor], truth: Tensor, seen: Tensor, gamma: float = 0.001) -> Tensor:
    """Soft dynamic time warping between the ice's longest outline and each of a contour's positions, summed over these.

    steps: (batch, vertex, 2) each, as in `contours`; the outline has as many vertices. Mean over the images that have
    an outline. Heidler et al. 2023, arXiv:2307.03461.
    """
    count = steps[0].shape[1]
    ice, known = ((truth == 0) & seen).cpu().numpy(), seen.cpu().numpy()
    lines = [contours.outline(mask, count, shown) for mask, shown in zip(ice, known, strict=True)]
    there = [number for number, found in enumerate(lines) if found is not None]
    if not there:
        return sum(step.sum() for step in steps) * 0
    wanted = torch.stack([steps[0].new_tensor(lines[number]) for number in there])
    moved = torch.cat([step[there] for step in steps])
    return contours.soft_dtw(moved, wanted.repeat(len(steps), 1, 1), gamma).sum() / len(there)


def _with_unavailable(truth: Tensor, seen: Tensor) -> Tensor:
    """Labels of scores that begin with one for "not available"."""
    return torch.where(seen, truth + 1, 0).long()


def _entropy_and_dice(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy + 1 - Dice over the batch, squares below, mean over all zones (Wu et al., released code)."""
    chances = scores.softmax(dim=1)
    true = functional.one_hot(labels, scores.shape[1]).movedim(-1, 1).to(chances)
    both, size = ((chances * true).sum(dim=(0, 2, 3)), (chances.square() + true.square()).sum(dim=(0, 2, 3)))
    return functional.cross_entropy(scores, labels) + 1 - ((2 * both + 1e-5) / (size + 1e-5)).mean()


def _middle(labels: Tensor) -> Tensor:
    """The middle half of labels (batch, y, x)."""
    (top, high), (left, wide) = (((side - side // 2) // 2, side // 2) for side in labels.shape[1:])
    return labels[:, top : top + high, left : left + wide]


def _nearest(labels: Tensor, maps: Tensor) -> Tensor:
    """Labels (batch, y, x) at the pixels of smaller maps (batch, channel, y', x')."""
    down, across = (have // want for have, want in zip(labels.shape[1:], maps.shape[2:], strict=True))
    return labels[:, ::down, ::across]


def _spread(mask: Tensor, side: int) -> Tensor:
    """A mask (batch, y, x) dilated by a square of `side` pixels."""
    return functional.max_pool2d(mask[:, None].float(), side, stride=1, padding=side // 2)[:, 0] > 0
