"""What must be known of a network besides its weights, and how files tell it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from xfer import labels
from xfer.errors import InputError
from xfer.models import Triple

KEY = "xfer"
"""Under which a file's metadata hold facts, as JSON."""
FORMAT = 1


@dataclass(frozen=True)
class Facts:
    """How faces go into a network and what its logits mean.

    Attributes
    ----------
    size : int
        Side of the faces, px.
    mean, std : tuple of 3 float
        ``(face / 255 - mean) / std`` per channel, red first. A network that takes 0 to 255 has mean 0, std 1 / 255.
    classes : tuple of str
        Names in the order of the logits, expressions as `xfer.labels` spells them; () where nobody tells them.
    layer : str
        The module whose heatmap is read, or in an ONNX file was read; "" where there is none.

    Examples
    --------
    >>> facts = Facts(112, classes=("anger", "fear"))
    >>> Facts.read(facts.told(), "net.onnx") == facts
    True
    """

    size: int
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    classes: tuple[str, ...] = ()
    layer: str = ""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InputError(f"'size' must be at least 1 px; got {self.size}")
        if not all(map(isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise InputError(f"'mean' and 'std' must be finite and 'std' above 0; got {self.mean} and {self.std}")

    def told(self, **more: Any) -> dict[str, str]:
        """Metadata of a file, which `read` reads; with further facts beside these."""
        return {KEY: json.dumps({"format": FORMAT, **asdict(self), **more}, sort_keys=True)}

    @classmethod
    def read(cls, metadata: Mapping[str, str], where: str) -> Facts | None:
        """The facts that `told` wrote; None where there are none.

        Raises
        ------
        InputError
            If they are damaged or of another version; `where` names the file.
        """
        if KEY not in metadata:
            return None
        try:
            told = json.loads(metadata[KEY])
            version = told["format"]
            names = told["classes"]
            if not all(isinstance(name, str) for name in names):
                raise TypeError("'classes' are not names")
            facts = cls(int(told["size"]), triple(told["mean"]), triple(told["std"]), tuple(names), str(told["layer"]))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise InputError(f"{where}: its metadata {KEY!r} are damaged ({type(error).__name__}: {error})") from None
        if version != FORMAT:
            raise InputError(f"{where}: its metadata have format {version!r}; this xfer reads format {FORMAT}")
        return facts


def triple(values: float | Iterable[float]) -> Triple:
    """One number for each channel, or one for all.

    >>> triple(0.5)
    (0.5, 0.5, 0.5)

    Raises
    ------
    InputError
        If there are neither one nor three numbers.
    """
    numbers = [float(v) for v in ([values] if isinstance(values, int | float) else values)]
    if len(numbers) not in (1, 3):
        raise InputError(f"give one number, or one for each of red, green and blue; got {len(numbers)}")
    red, green, blue = numbers * (3 // len(numbers))
    return red, green, blue


def named(classes: Iterable[str], count: int, *, any_labels: bool = False) -> tuple[str, ...]:
    """Names for some number of logits, each expression in its one spelling.

    >>> named(["happy", "sad"], 2)
    ('happiness', 'sadness')

    Raises
    ------
    InputError
        If there are more or fewer names, one is unknown, or two mean the same.
    """
    names = labels.expressions(classes, any_labels=any_labels)
    if len(names) != count:
        raise InputError(f"'classes' has {len(names)} names; the network has {count} classes")
    return names
