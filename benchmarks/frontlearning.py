"""Weights for grey images on a folder of scenes with labelled fronts: how far fronts and labels lie apart, in pixels.

    python benchmarks/frontlearning.py --images DIR --labels DIR --weights FILE [--json]

Images are grey PNGs, flow upwards; labels of the same scenes are 0 on the front and 255 off it, one or three pixels
wide. Facts from Mohajerani et al. 2019 (doi:10.3390/rs11010074) and its released weights: the image goes through
Pillow's equalize, autocontrast, SMOOTH and EDGE_ENHANCE, then / 255; the front is the cheapest path from side to side
inside a margin of 30 rows and 24 columns, and is scored there. On ten Helheim scenes the paper has 1.97 pixels.
"""

import argparse
import json
import pathlib
import re
import sys

import numpy as np
import shapely
import xarray as xr
from PIL import Image, ImageFilter, ImageOps
from skimage.morphology import skeletonize
from tqdm import tqdm

from glacier_nb import metrics, paths, predict, weights

MARGIN = (30, 24)


def grey(path: pathlib.Path) -> np.ndarray:
    """A scene as the network wants it: (y, x) float32, 0-1."""
    image = ImageOps.autocontrast(ImageOps.equalize(Image.open(path).convert("L")))
    return np.asarray(image.filter(ImageFilter.SMOOTH).filter(ImageFilter.EDGE_ENHANCE), dtype="float32") / 255


def label(path: pathlib.Path) -> np.ndarray:
    """Pixels (n, 2) of a labelled front inside the margin, thinned to one pixel's width."""
    front = skeletonize(np.asarray(Image.open(path).convert("L")) < 128)
    rows, columns = MARGIN
    inside = np.zeros_like(front)
    inside[rows : front.shape[0] - rows, columns : front.shape[1] - columns] = True
    return np.argwhere(front & inside)


def pairs(images: pathlib.Path, labels: pathlib.Path) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """Image and label of each scene: the same name but for a last word (..._Subset.png, ..._Front.png).

    FileNotFoundError: no images, or one without a label.
    """

    def scenes(folder: pathlib.Path) -> dict[str, pathlib.Path]:
        return {re.sub(r"_[A-Za-z]+$", "", path.stem): path for path in sorted(folder.glob("*.png"))}

    found, true = scenes(images), scenes(labels)
    lone = sorted(set(found) - set(true))
    if not found or lone:
        raise FileNotFoundError(f"{labels} has no label for {lone[0]}" if lone else f"no PNG images in {images}")
    return [(path, true[scene]) for scene, path in found.items()]


def deviations(image: pathlib.Path, truth: pathlib.Path, row: weights.Weights) -> tuple[float, float] | None:
    """Mean distance in pixels, label to front and front to label; None where the network sees no front at all.

    The path goes on through the fjord's walls to the image's sides: it is scored over the label's columns.
    """
    picture, true = grey(image), label(truth)
    if not len(true):
        raise ValueError(f"{truth.name} has no front inside the margin of {MARGIN} pixels")
    features = xr.DataArray(picture[None], dims=("feature", "y", "x"), coords={"feature": ["grey"]})
    chance = predict.front(features, row.system, row, window=512, progress=False).values
    path = paths.minimum_cost(1 - chance, MARGIN)
    if chance[tuple(path.T)].max() < 0.5:
        return None
    path = path[(path[:, 1] >= true[:, 1].min()) & (path[:, 1] <= true[:, 1].max())]
    found = metrics.front_deviation(shapely.multipoints(true), shapely.multipoints(path))
    return found.mean_a_to_b, found.mean_b_to_a


def score(images: pathlib.Path, labels: pathlib.Path, file: str) -> dict:
    """n scenes with a front, missed ones, and mean and median over scenes of the deviation in pixels."""
    row = weights.find(file)
    scenes = pairs(images, labels)
    found = [deviations(image, truth, row) for image, truth in tqdm(scenes, unit="scene", delay=2)]
    there, back = np.array([pair for pair in found if pair is not None]).reshape(-1, 2).T
    both = (there + back) / 2
    return {
        "n": len(both),
        "missed": len(found) - len(both),
        "mean_px": round(float(np.mean(both)), 3) if len(both) else None,
        "median_px": round(float(np.median(both)), 3) if len(both) else None,
        "mean_px_label_to_front": round(float(np.mean(there)), 3) if len(both) else None,
        "mean_px_front_to_label": round(float(np.mean(back)), 3) if len(both) else None,
    }


def main(argv: list[str] | None = None) -> int:
    """Print the score; 2 with one line on stderr where the input does not serve."""
    parser = argparse.ArgumentParser("frontlearning", description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=pathlib.Path, required=True, help="folder of grey PNG scenes")
    parser.add_argument("--labels", type=pathlib.Path, required=True, help="folder of PNG labels, 0 on the front")
    parser.add_argument("--weights", required=True, help="a file of weights, or a name in glacier_nb.weights")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args(argv)
    try:
        found = score(arguments.images, arguments.labels, arguments.weights)
    except (OSError, ValueError, LookupError) as error:
        print(f"frontlearning: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found) if arguments.json else "\n".join(f"{key:>24}  {value}" for key, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
