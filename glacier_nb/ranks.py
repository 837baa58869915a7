"""How unwelcome an observation is among others of the same pixel: snow, a missed cloud, a shadow.

Without a source, plain or ours: `sunlit`, `compare`.
"""

import numpy as np
from scipy import ndimage

SMOOTH = 5
"""Pixels on a side over which scenes are compared, so that neighbours tend to come from the same one."""

SHADE = 1.2
"""What a shadow counts, beside 1 for snow and 2 for cloud."""


def rank(
    bright: np.ndarray,
    short: np.ndarray,
    near: np.ndarray,
    blue: np.ndarray,
    clear: np.ndarray,
    brightest: np.ndarray | None = None,
) -> np.ndarray:
    """How unwelcome each observation of a pixel is (float32, time, y, x): 0 for snow-free ground in the sun.

    Reflectances are a visible, a short-wave infrared, a near infrared and a blue band. Added up are
    snow (bright, high NDSI: up to 1; bare ice, darker, less than fresh snow), cloud (bright in the blue and in the
    short-wave infrared: 2) and shadow (dark beside the pixel's brightest cloud-free observation, on snow and ice
    also blue from the sky's light, but not as dark as water: 1.2). The limits lie between the quartiles of the
    human-classified Sentinel-2 pixels of Aberle et al. 2025, doi:10.5194/tc-19-1675-2025
    (glacier-snow-cover-mapping; MIT). `brightest` is what `sunlit` found where these are not all of a pixel's
    observations.

    >>> ground, snow, cloud = (0.12, 0.25, 0.22, 0.1), (0.8, 0.02, 0.7, 0.8), (0.6, 0.4, 0.6, 0.6)
    >>> bands = np.array([ground, snow, cloud, (0.05, 0.05, 0.05, 0.05)]).T[:, :, None, None]
    >>> rank(*bands, np.ones((4, 1, 1), bool)).ravel().round(1)
    array([0. , 1. , 2. , 1.2], dtype=float32)
    """
    if brightest is None:
        brightest = sunlit(bright, short, near, blue, clear).max(axis=0, keepdims=True)
    bright, short, near, blue = _above_zero(bright, short, near, blue)
    index = (bright - short) / (bright + short)
    snow = _rise(index, 0.2, 0.7) * np.minimum(bright / 0.6, 1.0)
    dark_near, dark_short = (
        1.0 - _rise(band / np.maximum(brightest[:, layer], 1e-4), 0.3, 0.6) for layer, band in enumerate((near, short))
    )
    icy = _rise(index, 0.2, 0.5)
    on_ice = _rise(blue / near, 1.5, 1.9) * _rise(near, 0.04, 0.08) * dark_near
    shade = icy * on_ice + (1.0 - icy) * dark_near * dark_short * _rise(near, 0.02, 0.04)
    return (snow + 2.0 * _cloud(index, short, blue) + SHADE * shade).astype("float32")


def sunlit(bright: np.ndarray, short: np.ndarray, near: np.ndarray, blue: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Near and short-wave infrared (time, 2, y, x) where an observation is clear and no cloud, else 0."""
    bright, short, near, blue = _above_zero(bright, short, near, blue)
    seen = clear & (_cloud((bright - short) / (bright + short), short, blue) < 0.5)
    return np.stack([np.where(seen, near, 0.0), np.where(seen, short, 0.0)], axis=-3)


def compare(scores: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Scores averaged over the clear neighbours of each pixel; infinite where it was not clear itself."""
    size = (1, SMOOTH, SMOOTH)
    weight = ndimage.uniform_filter(clear.astype("float32"), size, mode="nearest")
    total = ndimage.uniform_filter(np.where(clear, scores, 0.0).astype("float32"), size, mode="nearest")
    return np.where(clear, total / np.maximum(weight, 1e-6), np.inf).astype("float32")


def _above_zero(*bands: np.ndarray) -> tuple[np.ndarray, ...]:
    """Reflectance that can be divided by."""
    return tuple(np.maximum(np.nan_to_num(band), 1e-4) for band in bands)


def _cloud(index: np.ndarray, short: np.ndarray, blue: np.ndarray) -> np.ndarray:
    """1 for cloud: bright in the blue and in the short-wave infrared."""
    return _rise(blue, 0.22, 0.37) * _rise(short, 0.12, 0.22) * (1.0 - _rise(index, 0.2, 0.5))


def _rise(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, straight between."""
    return np.clip((value - low) / (high - low), 0.0, 1.0)
