"""Landmarks that somebody gave: are they of these pictures?"""

import pandas as pd

from xfer import landmarkers, landmarking
from xfer.errors import InputError

POINTS = "points"
GIVEN = (landmarking.PUBLISHED, POINTS)
"""Landmarkers that do not look at the picture."""


def require_fitting(data: str, table: pd.DataFrame, landmarker: str) -> None:
    """Refuse faces without any landmarks, and landmarks of pictures of another size.

    The size of the pictures that they are for is compared where it stands beside them. Elsewhere a face whose landmarks
    leave its picture is left out, see `xfer.landmarkers.doubt`; if that is so of most, or `xfer.landmarkers.misfit`
    tells, all are refused.

    Parameters
    ----------
    data : str
        The data set's name.
    table : DataFrame
        Its landmarks, see `xfer.landmarking`.
    landmarker : str
        As `xfer.landmarkers.open` takes.

    Raises
    ------
    InputError
        Naming a face and what is wrong with it.
    """
    told = "{0.file}: {0.reason}".format
    if (table["reason"] != "").all():
        raise InputError(f"{data}: none of its {len(table)} faces has landmarks; {told(table.iloc[0])}")
    given = table[table["landmarker"].isin(GIVEN)]
    wrong = given[given["reason"].str.contains(landmarkers.OTHER_SIZE)]
    if 2 * len(wrong) > len(given):
        raise InputError(
            f"{data}: {len(wrong)} of {len(given)} faces have landmarks {landmarkers.OTHER_SIZE}; {told(wrong.iloc[0])}"
        )
    for source, part in given[given["reason"] == ""].groupby("landmarker", sort=False):
        why = landmarkers.misfit(landmarking.points(part), part[["width", "height"]].to_numpy(float))
        if why and not (source == POINTS and _sized(landmarker)):
            raise InputError(
                f"{data}: the landmarks of most of {len(part)} faces, as of {part['file'].iloc[0]}, {why}; give those "
                "of these pictures, or, if they are, a table of them with the columns width and height"
            )


def _sized(landmarker: str) -> bool:
    with landmarkers.open(landmarker) as finder:
        return finder.sized
