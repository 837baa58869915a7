"""Labelled sets of the field as rows: where they come from, how a folder of them is read, and how they are scored."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from glacier_nb import labelled
from glacier_nb.labels import UNSEEN, Sample

Predicted = Mapping[str, np.ndarray]
"""By sample name: zone numbers (y, x), or a front as bool (y, x)."""


@dataclasses.dataclass(frozen=True)
class LabelledSet:
    """One set. read: a folder to samples, or to a table of fronts where the set has no images (images: False). score:
    samples and what was predicted for them to numbers, by the rules of the set's paper; None for a table, which
    `delineation.score` serves. zones: what the truth's numbers mean; inputs: what the channels are. assumed: what was
    not read and is taken so.
    """

    name: str
    title: str
    read: Callable
    score: Callable[[Sequence[Sample], Predicted], dict] | None
    zones: tuple[str, ...]
    inputs: tuple[str, ...]
    url: str
    licence: str
    citation: str
    images: bool = True
    assumed: str = ""


def pooled_fronts(samples: Sequence[Sample], predicted: Predicted) -> dict:
    """CaFFe's mean distance error: both directions of all images with a front together, in metres; missed are counted.

    Gourmelon et al. 2022, doi:10.5194/essd-14-4287-2022.
    """
    apart = {s.name: _apart(s.front, predicted[s.name]) * (s.resolution or 1) for s in samples}
    seen = [away for away in apart.values() if len(away)]
    return {"mde_m": float(np.concatenate(seen).mean()) if seen else np.nan, **_count(apart)}


def mean_of_fronts(samples: Sequence[Sample], predicted: Predicted) -> dict:
    """CALFIN's error: the mean over images of each one's mean distance, both directions, in pixels; missed are counted.

    Cheng et al. 2021, doi:10.5194/tc-15-1663-2021.
    """
    apart = {s.name: _apart(s.front, predicted[s.name]) for s in samples}
    each = [away.mean() for away in apart.values() if len(away)]
    return {"mean_px": float(np.mean(each)) if each else np.nan, **_count(apart)}


def regional_iou(samples: Sequence[Sample], predicted: Predicted) -> dict:
    """GlaViTU's score: IoU of the glacier over all pixels of a region, then the mean over regions (and their spread).

    Maslov et al. 2025, Nat. Commun. 16:43.
    """
    counts: dict[str, np.ndarray] = {}
    for sample in samples:
        counts[sample.group] = counts.get(sample.group, np.zeros(2)) + _overlap(sample, predicted[sample.name])
    each = {group: float(both / either) if either else np.nan for group, (both, either) in counts.items()}
    return {"mean_iou": float(np.nanmean(list(each.values()))), "spread": float(np.nanstd(list(each.values())))} | each


def each_glacier(samples: Sequence[Sample], predicted: Predicted) -> dict:
    """DL4GAM's score: IoU of each glacier in its own pixels, the mean over glaciers, and the mean error of area in %.

    Diaconu et al. 2025, doi:10.1029/2025EA004197.
    """
    shares, errors = [], []
    for sample in samples:
        both, either = _overlap(sample, predicted[sample.name])
        true, guess = (_inside(sample, layer) for layer in (sample.truth, predicted[sample.name]))
        shares.append(both / either if either else np.nan)
        errors.append(100 * (guess.sum() / max(1, true.sum()) - 1))
    return {"mean_iou": float(np.nanmean(shares)), "area_error_percent": float(np.mean(errors)), "n": len(shares)}


def _overlap(sample: Sample, found: np.ndarray) -> np.ndarray:
    true, guess = (_inside(sample, layer) for layer in (sample.truth, found))
    return np.array([(true & guess).sum(), (true | guess).sum()], float)


def _inside(sample: Sample, zones: np.ndarray) -> np.ndarray:
    """Where a map has glacier, among the pixels that count."""
    counts = np.asarray(sample.truth) != UNSEEN
    counts &= True if sample.within is None else np.asarray(sample.within)
    return (np.asarray(zones) == 1) & counts


def _apart(true: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Distances in pixels from each front pixel to the nearest of the other, both ways; empty where one has none."""
    from scipy.ndimage import distance_transform_edt

    pair = [np.asarray(layer, bool) for layer in (true, found)]
    if not all(layer.any() for layer in pair):
        return np.empty(0)
    return np.concatenate([distance_transform_edt(~there)[here] for here, there in (pair, pair[::-1])])


def _count(apart: Mapping[str, np.ndarray]) -> dict:
    return {"n": len(apart), "missed": sum(not len(away) for away in apart.values())}


SETS = (
    LabelledSet(
        "caffe", "CaFFe: 681 radar images of seven glaciers, zones and fronts", labelled.caffe, pooled_fronts,
        ("rock", "glacier", "ocean"), ("vv_grey",), "https://doi.org/10.1594/PANGAEA.940950", "CC BY 4.0",
        "Gourmelon et al. 2022, doi:10.5194/essd-14-4287-2022",
    ),
    LabelledSet(
        "calfin", "CALFIN: Landsat images of Greenland's glaciers with masks of ice and ocean", labelled.calfin,
        mean_of_fronts, ("glacier", "ocean"), ("grey",), "https://github.com/daniel-cheng/CALFIN", "MIT",
        "Cheng et al. 2021, doi:10.5194/tc-15-1663-2021",
        assumed="white in a mask is ice and land, as the network's second output is; pixel sizes are not in the names",
    ),
    LabelledSet(
        "termpicks", "TermPicks: 39,060 traces of 278 glaciers, no images", labelled.termpicks, None,
        (), (), "https://zenodo.org/records/6557981", "see the set", "Goliber et al. 2022, The Cryosphere 16",
        images=False,
    ),
    LabelledSet(
        "glavitu", "GlaViTU: tiles of optical images and elevation of eleven regions, with outlines", labelled.glavitu,
        regional_iou, ("rock", "glacier"),
        ("blue", "green", "red", "nir", "swir16", "swir22", "elevation", "slope"),
        "https://github.com/konstantin-a-maslov/towards_global_glacier_mapping", "see the set",
        "Maslov et al. 2025, Nat. Commun. 16:43",
        assumed="the order of the six optical bands; the last of two outline channels is the glacier; pixels of 10 m",
    ),
    LabelledSet(
        "dl4gam", "DL4GAM: a cube a glacier of the Alps, Sentinel-2, elevation and its change", labelled.dl4gam,
        each_glacier, ("rock", "glacier"), (), "https://github.com/dcodrut/dl4gam_alps", "see the set",
        "Diaconu et al. 2025, doi:10.1029/2025EA004197",
    ),
    LabelledSet(
        "frontscenes", "123 Landsat scenes of Jakobshavn, Sverdrup and Kangerlussuaq with fronts", labelled.frontscenes,
        mean_of_fronts, (), ("grey",), "https://github.com/yaramohajerani/FrontLearning", "CC BY 4.0",
        "Mohajerani et al. 2019, doi:10.3390/rs11010074",
    ),
    LabelledSet(
        "own", "One's own GeoTIFFs and one vector file of outlines or front lines", labelled.own, each_glacier,
        ("rock", "glacier"), (), "", "yours", "",
    ),
)  # fmt: skip
"""Every labelled set, in the order that tables show them."""
