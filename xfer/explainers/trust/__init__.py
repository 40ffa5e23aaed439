"""Can a map be trusted: does it follow the network, does it change with the weights, do methods agree?"""

from xfer.explainers.trust.agreement import agreement
from xfer.explainers.trust.detector import detect, silent_layers
from xfer.explainers.trust.faithfulness import areas, deletion, insertion, road
from xfer.explainers.trust.maps import gathered
from xfer.explainers.trust.randomisation import randomisation

__all__ = [
    "agreement",
    "areas",
    "deletion",
    "detect",
    "gathered",
    "insertion",
    "randomisation",
    "road",
    "silent_layers",
]
