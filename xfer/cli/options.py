"""Options that several commands share."""

from typing import Annotated

import typer

Pattern = Annotated[str, typer.Option(help="Where the key stands in a file's path.")]
Masks = Annotated[str, typer.Option(help="Mask sources by name, separated by commas, or a folder of mask files.")]
MaskPattern = Annotated[str, typer.Option(help="Where the expression stands in a mask file's name.")]
Frame = Annotated[
    str | None,
    typer.Option(help="Landmarks of the canvas the maps are on: 'xfer', or a csv of 68 points (point,x,y)."),
]
Metrics = Annotated[str, typer.Option(help="'all', or names separated by commas ('xfer metrics list').")]
Threshold = Annotated[str, typer.Option(help="otsu, area, upper_bound, or a share of the map's range in (0, 1).")]
Support = Annotated[str | None, typer.Option(help="'frame' (pixels a face can cover) or 'canvas'.")]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Score what is there.")]

MAPS_PATTERN = "{model}_{expression}_heatmap.png"
MASKS_PATTERN = "{expression}_gt.png"
