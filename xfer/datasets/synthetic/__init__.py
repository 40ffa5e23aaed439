"""Drawn faces whose Action Units are known: the embedded data set `synthetic`.

Faces and masks share an author: what a network does on them tests the software, not FACS.
"""

from xfer.datasets.synthetic.action_units import CODES
from xfer.datasets.synthetic.cues import CUES, plant, remove
from xfer.datasets.synthetic.drawing import draw
from xfer.datasets.synthetic.face import Face, Light, with_action_unit
from xfer.datasets.synthetic.intervention import cue_region, intervene
from xfer.datasets.synthetic.population import faces, stream
from xfer.datasets.synthetic.projection import landmarks
from xfer.datasets.synthetic.prototypes import Codebook, combinations
from xfer.datasets.synthetic.reader import CAUTION, face_of, synthetic, write

__all__ = [
    "CAUTION",
    "CODES",
    "CUES",
    "Codebook",
    "Face",
    "Light",
    "combinations",
    "cue_region",
    "draw",
    "face_of",
    "faces",
    "intervene",
    "landmarks",
    "plant",
    "remove",
    "stream",
    "synthetic",
    "with_action_unit",
    "write",
]
