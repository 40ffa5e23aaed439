"""Networks out: one file in ONNX that gives logits, and heatmaps if asked, wherever it is run."""

from xfer.exporting.file import Exported, write

__all__ = ["Exported", "write"]
