"""Ground truth for scoring: masks by name, from files or from people's maps, on one canvas, and the pixels that count.

What a score says depends on whose masks they are: expert theory's or people's. The two are never mixed.
"""

import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xfer import geometry, heatmaps, masks
from xfer.errors import InputError, unknown
from xfer.geometry import CanonicalFrame

HUMAN = "human:"
"""What stands before a folder of people's maps."""
MASKS_PATTERN = "{expression}_gt.png"
FACS_AGREEMENT, HUMAN_ALIGNMENT = "FACS agreement", "human alignment"


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
    raters : mapping of str to DataArray (rater, expression, y, x)
        Behind each source that is people's, by its name: the raters' `xfer.heatmaps.shares` at half resolution, means
        over the pixels of the support. What the ceiling of human alignment comes from.
    """

    masks: tuple[xr.DataArray, ...]
    support: np.ndarray
    support_name: str
    inter_ocular: float | None
    raters: Mapping[str, xr.DataArray] = field(default_factory=dict)

    @property
    def measures(self) -> dict[str, str]:
        """What a score against each source is: FACS agreement or human alignment."""
        return {str(m.name): HUMAN_ALIGNMENT if str(m.name) in self.raters else FACS_AGREEMENT for m in self.masks}

    def save(self, path: Path) -> None:
        """Write an npz: ``mask_0``, ``expressions_0``, ``name_0``, ... and the support; people's maps without names."""
        stored: dict[str, Any] = {"format": 1, "support": self.support, "support_name": self.support_name}
        stored["inter_ocular"] = np.nan if self.inter_ocular is None else self.inter_ocular
        for i, mask in enumerate(self.masks):
            stored |= {f"mask_{i}": mask.values, f"expressions_{i}": mask.coords["expression"].values.astype(str)}
            stored |= {f"name_{i}": str(mask.name), f"frame_{i}": str(mask.attrs["frame"])}
            people = self.raters.get(str(mask.name))
            stored[f"kind_{i}"] = "facs" if people is None else "human"
            if people is not None:
                stored |= {f"raters_{i}": people.values, f"asked_{i}": people.coords["expression"].values.astype(str)}
                stored |= {f"reasons_{i}": people.coords["reason"].values, f"left_out_{i}": mask.attrs["left_out"]}
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
        masks, raters = [], {}
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                for i in range(sum(name.startswith("mask_") for name in stored)):
                    coords = {"expression": stored[f"expressions_{i}"]}
                    attrs = {"frame": str(stored[f"frame_{i}"])}
                    name = str(stored[f"name_{i}"])
                    if f"raters_{i}" in stored:
                        raters[name] = _stored_raters(stored, i, name)
                        attrs["left_out"] = str(stored[f"left_out_{i}"])
                    masks.append(xr.DataArray(stored[f"mask_{i}"], coords, ("expression", "y", "x"), name, attrs))
                eyes = float(stored["inter_ocular"])
                inter_ocular = None if np.isnan(eyes) else eyes
                return cls(tuple(masks), stored["support"], str(stored["support_name"]), inter_ocular, raters)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            raise InputError(f"{path}: is damaged; run its 'xfer compare' line again to mend it") from None


def _stored_raters(stored: Any, i: int, name: str) -> xr.DataArray:
    coords = {"expression": stored[f"asked_{i}"], "reason": (("rater", "expression"), stored[f"reasons_{i}"])}
    return xr.DataArray(stored[f"raters_{i}"], coords, ("rater", "expression", "y", "x"), name)


def load(
    names: str | Path | Sequence[str | Path],
    *,
    mask_pattern: str = MASKS_PATTERN,
    frame: str | Path | None = None,
    support: str | None = None,
) -> MaskSources:
    """Masks by name (drawn on a frame), from a codebook file, or read from a folder; several separated by commas.

    ``human:DIR`` is a folder of people's maps, one a rater and expression, on the canonical frame or on that of
    `frame`; the mask of an expression is `xfer.heatmaps.agreed` of them. A score against it is human alignment, one
    against any other source FACS agreement.

    Parameters
    ----------
    names : str, path or several
    mask_pattern : str
        How the files of a folder of masks are named; with ``{rater}`` in it, those of people's maps, otherwise
        ``{rater}_{expression}`` or ``{rater}/{expression}`` with the ending of any map format.
    frame : str or path, optional
        The canvas' landmarks; ``xfer`` unless there is a folder of masks.
    support : {"frame", "canvas"}, optional

    Returns
    -------
    MaskSources

    Raises
    ------
    InputError
        If a source is unknown, sizes differ, people's maps cannot be used or a number stands in their place, or
        `support` is ``frame`` where no frame is known.
    """
    read = [_one_source(name, mask_pattern, frame) for name in spelt(names)]
    twice = sorted(name for name, n in Counter(str(m.name) for m in read).items() if n > 1)
    if twice:
        raise InputError(f"--masks names two sources {twice[0]!r}; give their folders or files different names")
    sizes = {str(m.name): m.shape[-2:] for m in read}
    if len(set(sizes.values())) > 1:
        text = ", ".join(f"{name}: {h} x {w}" for name, (h, w) in sizes.items())
        raise InputError(f"mask sources must share one canvas; got {text}")
    canvas = _canvas(read, frame, support)
    chosen = support or ("canvas" if canvas is None else "frame")
    if chosen not in ("frame", "canvas"):
        raise unknown("support", chosen, ("frame", "canvas"))
    if chosen == "frame" and canvas is None:
        raise InputError("--support frame needs the canvas' landmarks; give --frame xfer or a csv of 68 points")
    whole = np.ones(read[0].shape[-2:], dtype=bool)
    inside = np.asarray(canvas.support if canvas is not None and chosen == "frame" else whole)
    eyes = None if canvas is None else float(geometry.inter_ocular(canvas.points))
    people = {str(m.name): heatmaps.shares(m, inside) for m in read if "rater" in m.dims}
    drawn = [_agreed(people[str(m.name)], inside, canvas) if "rater" in m.dims else m for m in read]
    return MaskSources(tuple(drawn), inside, chosen, eyes, {name: _halved(maps) for name, maps in people.items()})


def spelt(names: str | Path | Sequence[str | Path]) -> list[str]:
    """Sources as they are asked for, each once.

    >>> spelt("ekman, xfer/emfacs,ekman")
    ['ekman', 'xfer/emfacs']
    """
    asked = names.split(",") if isinstance(names, str) else names if isinstance(names, Sequence) else [names]
    return list(dict.fromkeys(str(name).strip() for name in asked))


def _one_source(name: str, mask_pattern: str, frame: str | Path | None) -> xr.DataArray:
    """Masks (expression, y, x), or people's maps (rater, expression, y, x) as stored."""
    if not name:
        raise InputError("--masks: an empty name; give sources as in 'ekman,xfer/emfacs', or a folder of mask files")
    of_people = "{rater}" in mask_pattern
    if name.startswith(HUMAN):
        return heatmaps.read_raters(_folder(name), mask_pattern if of_people else None)
    if name.startswith((".", "/", "~")) and not Path(name).exists():
        raise InputError(f"{name}: no such folder or file of masks")
    if Path(name).is_dir():
        return heatmaps.read_masks(name, MASKS_PATTERN if of_people else mask_pattern)
    return masks.load(name, frame=frame or "xfer")


def _folder(name: str) -> Path:
    """The folder behind ``human:``; a number borrowed from elsewhere is no map of anybody."""
    told = name.removeprefix(HUMAN).strip()
    try:
        float(told.removesuffix("%"))
    except ValueError:
        if told:
            return Path(told).expanduser()
    raise InputError(
        f"--masks {name}: {'a borrowed number is no ceiling' if told else 'the folder is missing'}; "
        "give the folder of the raters' maps, as in human:DIR"
    )


def _canvas(read: Sequence[xr.DataArray], frame: str | Path | None, support: str | None) -> CanonicalFrame | None:
    """The canvas' landmarks; None where they are not known, which is so for mask files without `frame`."""
    size = read[0].shape[-2:]
    if frame is None and any(m.attrs.get("frame") == "file" for m in read):
        return None
    canvas = geometry.load_frame(frame or "xfer")
    if (canvas.height, canvas.width) == size:
        return canvas
    if not any("rater" in m.dims for m in read):
        raise InputError(f"frame {canvas.name!r} is {canvas.height} x {canvas.width}, the masks are {size}")
    if frame is None and support == "canvas":
        return None
    raise InputError(
        f"frame {canvas.name!r} is {canvas.height} x {canvas.width} (rows x columns), the maps of {read[0].name} are "
        f"{size[0]} x {size[1]}; warp them to the frame, or score on their whole canvas with --support canvas"
    )


def _agreed(people: xr.DataArray, support: np.ndarray, canvas: CanonicalFrame | None) -> xr.DataArray:
    made = heatmaps.agreed(people, support)
    return made.assign_attrs(frame="file" if canvas is None else canvas.name)


def _halved(people: xr.DataArray) -> xr.DataArray:
    """Means of 2 x 2 pixels; those that are NaN, outside the support, do not count."""
    return people.coarsen(y=2, x=2, boundary="pad").mean()
