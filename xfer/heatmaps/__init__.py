"""Global heatmaps (cell, y, x) and masks (expression, y, x): files, people's maps, schema, store, views."""

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
from xfer.heatmaps.patterns import match, match_raters
from xfer.heatmaps.raters import agreed, consensus, read_raters, shares
from xfer.heatmaps.store import check, open_heatmaps, save
from xfer.heatmaps.views import dense, pool_folds, select

__all__ = [
    "NORMALISATIONS", "agreed", "check", "consensus", "dense", "index_maps", "iter_maps", "match", "match_raters",
    "missing_cells", "open_heatmaps", "pool_folds", "read_heatmaps", "read_map", "read_masks", "read_raters",
    "require_complete", "save", "select", "shares", "write_masks",
]  # fmt: skip
