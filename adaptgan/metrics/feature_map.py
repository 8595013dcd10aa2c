"""A flat picture of features: which images a network holds to be alike, over both domains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PERPLEXITY = 30.0
ITERATIONS = 500
"""Half of them with exaggeration, after which the groups stand; on 800 points more moved nothing one could see."""


def embed(sets_NF: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Place the points of all sets in one plane by t-SNE (van der Maaten 2008), from their principal components.

    t-SNE and not UMAP: scikit-learn has it, so no dependency is added (UMAP brings numba), and at some hundred points
    it is no slower. Both keep neighbourhoods and neither keeps distances: what may be read off is which points mix, not
    how far groups lie from each other. The gap itself is measured by the proxy A-distance.

    Args:
        sets_NF: features of one width, one array per set; at least four points in all.

    Returns:
        Per set (N, 2) in [0, 1]. It starts from principal components, so nothing in it is left to chance.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    points = np.concatenate([np.asarray(part, np.float64).reshape(len(part), -1) for part in sets_NF])
    ends = np.cumsum([len(part) for part in sets_NF])[:-1]
    spread = float(np.sqrt(np.mean(np.var(points, axis=0))))
    if spread == 0:  # all in one place, and so they are drawn
        return np.split(np.full((len(points), 2), 0.5), ends)
    flat = PCA(min(50, *points.shape), random_state=0).fit_transform(points / spread)
    if flat.shape[1] < 2:
        flat = np.concatenate([flat, np.zeros_like(flat)], 1)
    # One thread: sums over threads would differ from run to run, and the plane with them.
    with threadpool_limits(1):
        plane_N2 = TSNE(
            init=flat[:, :2] / np.std(flat[:, 0]) * 1e-4,
            perplexity=min(PERPLEXITY, (len(points) - 1) / 3),
            max_iter=ITERATIONS,
            random_state=0,
            n_jobs=1,
        ).fit_transform(flat)
    low, high = plane_N2.min(0), plane_N2.max(0)
    return np.split((plane_N2 - low) / np.where(high > low, high - low, 1.0), ends)
