"""Ground truth for scoring: masks by name or from files, on one canvas, and the pixels that count there."""

import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xfer import geometry, heatmaps, masks
from xfer.errors import InputError, unknown


@dataclass(frozen=True)
class MaskSources:
    """Mask sources on one canvas, and the pixels that count there.

    Attributes
    ----------
    masks : tuple of DataArray (expression, y, x)
    support : bool array (y, x)
    support_name : {"frame", "canvas"}
    inter_ocular : float or None
        Distance of the outer eye corners in px, None where the canvas' landmarks are not known.
    """

    masks: tuple[xr.DataArray, ...]
    support: np.ndarray
    support_name: str
    inter_ocular: float | None

    def save(self, path: Path) -> None:
        """Write an npz: ``mask_0``, ``expressions_0``, ``name_0``, ... and the support."""
        stored: dict[str, Any] = {"format": 1, "support": self.support, "support_name": self.support_name}
        stored["inter_ocular"] = np.nan if self.inter_ocular is None else self.inter_ocular
        for i, mask in enumerate(self.masks):
            stored |= {f"mask_{i}": mask.values, f"expressions_{i}": mask.coords["expression"].values.astype(str)}
            stored |= {f"name_{i}": str(mask.name), f"frame_{i}": str(mask.attrs["frame"])}
        with path.open("wb") as file:
            np.savez_compressed(file, **stored)

    @classmethod
    def open(cls, path: Path) -> "MaskSources":
        """The inverse of `save`.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        masks = []
        try:
            with np.load(path, allow_pickle=False) as stored:
                for i in range(sum(name.startswith("mask_") for name in stored)):
                    coords = {"expression": stored[f"expressions_{i}"]}
                    attrs = {"frame": str(stored[f"frame_{i}"])}
                    name = str(stored[f"name_{i}"])
                    dims = ("expression", "y", "x")
                    masks.append(xr.DataArray(stored[f"mask_{i}"], coords, dims, name, attrs))
                eyes = float(stored["inter_ocular"])
                inter_ocular = None if np.isnan(eyes) else eyes
                return cls(tuple(masks), stored["support"], str(stored["support_name"]), inter_ocular)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            raise InputError(f"{path}: is damaged; run its 'xfer compare' line again to mend it") from None


def load(
    names: str | Path | Sequence[str | Path],
    *,
    mask_pattern: str = "{expression}_gt.png",
    frame: str | Path | None = None,
    support: str | None = None,
) -> MaskSources:
    """Masks by name (drawn on a frame), from a codebook file, or read from a folder; several separated by commas.

    Raises
    ------
    InputError
        If a source is unknown, sizes differ, or `support` is ``frame`` where no frame is known.
    """
    asked = names.split(",") if isinstance(names, str) else names if isinstance(names, Sequence) else [names]
    read = [_one_source(str(name).strip(), mask_pattern, frame) for name in dict.fromkeys(asked)]
    twice = sorted(name for name, n in Counter(str(m.name) for m in read).items() if n > 1)
    if twice:
        raise InputError(f"--masks names two sources {twice[0]!r}; give their folders or files different names")
    sizes = {str(m.name): m.shape[1:] for m in read}
    if len(set(sizes.values())) > 1:
        text = ", ".join(f"{name}: {h} x {w}" for name, (h, w) in sizes.items())
        raise InputError(f"mask sources must share one canvas; got {text}")
    from_files = any(m.attrs["frame"] == "file" for m in read)
    canvas = None if from_files and frame is None else geometry.load_frame(frame or "xfer")
    if canvas is not None and (canvas.height, canvas.width) != read[0].shape[1:]:
        raise InputError(
            f"frame {canvas.name!r} is {canvas.height} x {canvas.width}, the masks are {read[0].shape[1:]}"
        )
    chosen = support or ("canvas" if canvas is None else "frame")
    if chosen not in ("frame", "canvas"):
        raise unknown("support", chosen, ("frame", "canvas"))
    if chosen == "frame" and canvas is None:
        raise InputError("--support frame needs the canvas' landmarks; give --frame xfer or a csv of 68 points")
    whole = np.ones(read[0].shape[1:], dtype=bool)
    inside = canvas.support if canvas is not None and chosen == "frame" else whole
    eyes = None if canvas is None else float(geometry.inter_ocular(canvas.points))
    return MaskSources(tuple(read), np.asarray(inside), chosen, eyes)


def _one_source(name: str, mask_pattern: str, frame: str | Path | None) -> xr.DataArray:
    if not name:
        raise InputError("--masks: an empty name; give sources as in 'ekman,xfer/emfacs', or a folder of mask files")
    if name.startswith((".", "/", "~")) and not Path(name).exists():
        raise InputError(f"{name}: no such folder or file of masks")
    if Path(name).is_dir():
        return heatmaps.read_masks(name, mask_pattern)
    return masks.load(name, frame=frame or "xfer")
