"""JAFFE: ten Japanese women, seven posed expressions, 213 grey pictures."""

import re
from pathlib import Path

from xfer.datasets import DATASETS
from xfer.datasets.files import require_folder, shown, walk
from xfer.datasets.listing import Listing
from xfer.datasets.samples import Dataset, Dropped

_LAYOUT = "a folder with KA.AN1.39.tiff (initials, expression and take, number)"

EXPRESSIONS = {
    "AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happiness", "NE": "neutral", "SA": "sadness", "SU": "surprise",
}  # fmt: skip

_NAME = re.compile(rf"([A-Z]{{2}})\.({'|'.join(EXPRESSIONS)})(\d*)\.(\d+)", re.IGNORECASE)


@DATASETS.register(
    "jaffe",
    layout=_LAYOUT,
    reference="Lyons, Kamachi and Gyoba (1998), doi:10.5281/zenodo.3451524",
    licence="non-commercial research, on request from its Zenodo record",
)
def jaffe(path: Path, *, allow_outside: bool = False) -> Dataset:
    """Read JAFFE; the initials are the subject.

    Raises
    ------
    InputError
        If the folder is missing or holds no face.
    """
    listing = Listing()
    for name, found in walk(require_folder(path, _LAYOUT), allow_outside):
        match = _NAME.fullmatch(Path(name).stem)
        if match is None or isinstance(found, Dropped):
            reason = found if isinstance(found, Dropped) else Dropped(shown(name), "is not named as KA.AN1.39")
            listing.keep(name, reason, None)
            continue
        initials, expression, take, number = (g.upper() for g in match.groups())
        listing.keep(name, found, EXPRESSIONS[expression], subject=initials, extra={"take": take, "number": number})
    return listing.dataset("jaffe")
