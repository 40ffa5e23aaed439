"""Explainers: networks in, heatmaps out; every method and class from as few passes as the methods allow."""

from xfer.explainers.attribution import Attribution, SilentLayerError, attribute, misfits, trace
from xfer.explainers.catalogue import EXPLAINERS, NEEDS, Explainer, choose
from xfer.explainers.families import FAMILIES, LAYER, Family, Look
from xfer.explainers.labelled import explain
from xfer.explainers.pooled_maps import Pooled
from xfer.explainers.pooling import pooled
from xfer.explainers.tap import Tap

__all__ = [
    "EXPLAINERS",
    "FAMILIES",
    "LAYER",
    "NEEDS",
    "Attribution",
    "Explainer",
    "Family",
    "Look",
    "Pooled",
    "SilentLayerError",
    "Tap",
    "attribute",
    "choose",
    "explain",
    "misfits",
    "pooled",
    "trace",
]
