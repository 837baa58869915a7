"""Grey-level co-occurrence: how alike neighbouring pixels are in a window around each one."""

import numba
import numpy as np

from glacier_nb import blocks

STATISTICS = ("contrast", "dissimilarity", "homogeneity", "asm", "correlation", "entropy", "variance")
"""Of the matrix P: sum of P (i-j)^2; P |i-j|; P / (1 + (i-j)^2); P^2; P (i-m)(j-m) / variance; -P ln P; P (i-m)^2."""

GREYS, WINDOW = 32, 7


def cooccurrence(grey) -> tuple:
    """`STATISTICS` of greys in [0, 1] (y, x), each float32 (y, x) and as lazy as they are, NaN where unseen.

    32 levels; pairs of neighbours inside a 7 x 7 window, counted both ways; the mean over the four directions
    (Haralick et al. 1973, doi:10.1109/TSMC.1973.4309314). A window of one level correlates fully. Unseen pixels and
    those outside the image make no pairs.
    """
    return tuple(blocks.near(_statistics, grey, WINDOW // 2, len(STATISTICS)))


def _statistics(grey: np.ndarray) -> np.ndarray:
    level = np.where(np.isnan(grey), -1, np.clip(np.nan_to_num(grey) * GREYS, 0, GREYS - 1)).astype("int32")
    return _walk(level, GREYS, WINDOW // 2)


@numba.njit(cache=True, nogil=True)
def _walk(level, greys, half):
    """`STATISTICS` (statistic, y, x) of levels (y, x), -1 where unseen."""
    ny, nx = level.shape
    out = np.full((7, ny, nx), np.nan, np.float32)
    counts = np.zeros((greys, greys), np.int64)
    most = 2 * (2 * half + 1) ** 2
    spread = np.zeros(most + 1)  # c ln c
    for c in range(2, most + 1):
        spread[c] = c * np.log(c)
    total = np.zeros(7)
    for i in range(ny):
        for j in range(nx):
            if level[i, j] < 0:
                continue
            total[:] = 0.0
            for dy, dx in ((0, 1), (1, 1), (1, 0), (1, -1)):
                top, bottom = max(i - half, 0), min(i + half + 1, ny) - dy
                left, right = max(j - half, 0) + max(-dx, 0), min(j + half + 1, nx) - max(dx, 0)
                pairs, far, apart, alike, first, square, product = 0, 0, 0, 0.0, 0, 0, 0
                for y in range(top, bottom):
                    for x in range(left, right):
                        a, b = level[y, x], level[y + dy, x + dx]
                        if a < 0 or b < 0:
                            continue
                        counts[a, b] += 1
                        counts[b, a] += 1
                        pairs += 2
                        far += 2 * (a - b) ** 2
                        apart += 2 * abs(a - b)
                        alike += 2.0 / (1.0 + (a - b) ** 2)
                        first += a + b
                        square += a * a + b * b
                        product += 2 * a * b
                if pairs == 0:  # alone: as a window of one level
                    total += np.array([0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0])
                    continue
                power, logs = 0, 0.0
                for y in range(top, bottom):
                    for x in range(left, right):
                        a, b = level[y, x], level[y + dy, x + dx]
                        if a < 0 or b < 0:
                            continue
                        power += counts[a, b] ** 2
                        logs += spread[counts[a, b]]
                        counts[a, b] = 0
                        power += counts[b, a] ** 2
                        logs += spread[counts[b, a]]
                        counts[b, a] = 0
                mean = first / pairs
                variance = square / pairs - mean * mean
                total[0] += far / pairs
                total[1] += apart / pairs
                total[2] += alike / pairs
                total[3] += power / pairs / pairs
                total[4] += (product / pairs - mean * mean) / variance if variance > 1e-12 else 1.0
                total[5] += np.log(pairs) - logs / pairs
                total[6] += variance
            for k in range(7):
                out[k, i, j] = total[k] / 4.0
    return out
