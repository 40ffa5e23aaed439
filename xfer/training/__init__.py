"""Training: settings, pixels, the fitting of a network, its weights, and how well it does on faces it never saw."""

from xfer.training.baseline import Baseline, linear_baseline
from xfer.training.batches import Batch, Loss, classification, cross_entropy, inputs
from xfer.training.evaluation import accuracy, confusion, evaluate, macro_f1, recall
from xfer.training.fitting import Fitted, TrainingError, fit, out_of_memory, silent
from xfer.training.guided import GuidedLoss
from xfer.training.pixels import Pixels, hold_out, read, read_sizes
from xfer.training.presets import PRESETS, preset, variant
from xfer.training.settings import Settings
from xfer.training.weights import digest, load_into, read_weights, write_weights

__all__ = [
    "PRESETS",
    "Baseline",
    "Batch",
    "Fitted",
    "GuidedLoss",
    "Loss",
    "Pixels",
    "Settings",
    "TrainingError",
    "accuracy",
    "classification",
    "confusion",
    "cross_entropy",
    "digest",
    "evaluate",
    "fit",
    "hold_out",
    "inputs",
    "linear_baseline",
    "load_into",
    "macro_f1",
    "out_of_memory",
    "preset",
    "read",
    "read_sizes",
    "read_weights",
    "recall",
    "silent",
    "variant",
    "write_weights",
]
