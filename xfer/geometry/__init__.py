"""Landmarks and the canonical frame: alignment, mean shapes, the 89-point triangulation."""

from xfer.geometry.alignment import apply, inter_ocular, mean_shape, reflection_pairs, similarity, upright
from xfer.geometry.frame import (
    CanonicalFrame,
    data_folder,
    extend,
    flipped,
    frame_names,
    load_frame,
    mirror,
)
from xfer.geometry.layout import FEATURES, HEIGHT, IBUG_FROM_MESH, IBUG_MIRROR, MESH_POINTS, OUTLINE, WIDTH
from xfer.geometry.template import fit_to_canvas, forehead_arch, measure, symmetrise
from xfer.geometry.triangulation import delaunay, doubled_areas, inside

__all__ = [
    "FEATURES",
    "HEIGHT",
    "IBUG_FROM_MESH",
    "IBUG_MIRROR",
    "MESH_POINTS",
    "OUTLINE",
    "WIDTH",
    "CanonicalFrame",
    "apply",
    "data_folder",
    "delaunay",
    "doubled_areas",
    "extend",
    "fit_to_canvas",
    "flipped",
    "forehead_arch",
    "frame_names",
    "inside",
    "inter_ocular",
    "load_frame",
    "mean_shape",
    "measure",
    "mirror",
    "reflection_pairs",
    "similarity",
    "symmetrise",
    "upright",
]
