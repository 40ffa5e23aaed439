"""Photographs and heatmaps to the canonical frame and back: piecewise affine, batched torch."""

from xfer.warping.placement import frame_points
from xfer.warping.sampling import MODES
from xfer.warping.transfer import FLIPPED_TOLERANCE, Warped, from_frame, to_frame

__all__ = ["FLIPPED_TOLERANCE", "MODES", "Warped", "frame_points", "from_frame", "to_frame"]
