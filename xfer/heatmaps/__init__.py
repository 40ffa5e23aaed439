"""Global heatmaps (cell, y, x) and masks (expression, y, x): files, schema, store, labelled views, normalisations."""

from xfer.heatmaps.files import (
    index_maps,
    iter_maps,
    missing_cells,
    read_heatmaps,
    read_masks,
    require_complete,
    write_masks,
)
from xfer.heatmaps.images import read_map
from xfer.heatmaps.normalisations import NORMALISATIONS
from xfer.heatmaps.patterns import match
from xfer.heatmaps.store import check, open_heatmaps, save
from xfer.heatmaps.views import dense, pool_folds, select

__all__ = [
    "NORMALISATIONS", "check", "dense", "index_maps", "iter_maps", "match", "missing_cells", "open_heatmaps",
    "pool_folds", "read_heatmaps", "read_map", "read_masks", "require_complete", "save", "select", "write_masks",
]  # fmt: skip
