"""Options that several commands share."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from xfer.errors import InputError

Pattern = Annotated[str, typer.Option(help="Where network, expression and fold stand in a file's path.")]
Masks = Annotated[
    str,
    typer.Option(
        help="Mask sources with commas: names, folders of mask files, human:DIR for folders of people's maps."
    ),
]
MaskPattern = Annotated[
    str, typer.Option(help="Where the expression stands in a mask file's name; with {rater} in it, of people's maps.")
]
Frame = Annotated[
    str | None,
    typer.Option(help="Landmarks of the canvas the maps are on: 'xfer', or a csv of 68 points (point,x,y)."),
]
Metrics = Annotated[str, typer.Option(help="'all', or names separated by commas ('xfer metrics list').")]
Threshold = Annotated[str, typer.Option(help="otsu, area, upper_bound, or a share of the map's range in (0, 1).")]
Support = Annotated[
    str | None, typer.Option(help="Pixels that are scored: 'frame' (those a face can cover) or 'canvas' (all).")
]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Score the rest where heatmaps are missing.")]
Models = Annotated[
    str,
    typer.Option(
        help="'all', a tag, or names with commas ('xfer models list'); 'timm:NAME' for any of timm's, 'onnx:PATH' for "
        "a trained network, which is evaluated and explained as it is."
    ),
]
Data = Annotated[
    str, typer.Option(help="synthetic, folder:DIR, csv:FILE or NAME:DIR, here or by URL ('xfer data list').")
]
Expressions = Annotated[str | None, typer.Option(help="Which to tell apart, with commas; all by default.")]
MinFaces = Annotated[
    int | None, typer.Option(min=1, help="Leave out expressions with fewer faces; 30 by default, 1 for drawn faces.")
]
Preset = Annotated[
    str, typer.Option(help="quick (drawn faces on a laptop), standard, paper (the published study) or belharbi2024.")
]
Pretrained = Annotated[str, typer.Option(help="ImageNet weights where the study had them: auto, yes or no.")]
Weights = Annotated[list[str] | None, typer.Option(help="Starting weights, NAME=FILE.safetensors; may be repeated.")]
Folds = Annotated[int | None, typer.Option(min=1, help="Folds that share no subject; 1 is a single split.")]
Seed = Annotated[int, typer.Option(min=0, help="Everything drawn at random follows from it.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")]
Landmarker = Annotated[str, typer.Option(help="mediapipe, points:FILE or onnx:FILE, for faces without landmarks.")]
Guide = Annotated[
    str | None,
    typer.Option(
        help="Train networks to look at maps: none, au, template, shuffled or random; the preset's by default."
    ),
]


def _lasting(out: str | None) -> str | None:
    if out is not None and out.startswith("memory://"):
        raise InputError(
            f"--out {out}: is lost when this command ends; give a folder, or a URL such as s3://BUCKET/NAME"
        )
    return out


Out = Annotated[
    str | None,
    typer.Option(
        help="The study folder, or a URL such as s3://BUCKET/NAME; reports/... by default.",
        show_default=False,
        callback=_lasting,
    ),
]
FacesShown = Annotated[str, typer.Option(help="Pictures in the report: mean, none, or all (mind the licence).")]

Samples = Annotated[
    int | None,
    typer.Option(min=2, help="Partly hidden copies of a face that LIME, KernelSHAP and RISE show the network."),
]
Segments = Annotated[
    str | None,
    typer.Option(help="Parts of a face that LIME and KernelSHAP hide: slic, grid or regions (of Action Units)."),
]
Baseline = Annotated[str | None, typer.Option(help="What hidden parts become: black, blur or noise.")]

_OF_ONNX = "NAME=VALUE for one of several networks, as the tables name it."
OnnxSize = Annotated[list[str] | None, typer.Option(help=f"Side of the faces in px. {_OF_ONNX}")]
OnnxMean = Annotated[
    list[str] | None, typer.Option(help=f"Subtracted from face / 255: one number, or three with commas. {_OF_ONNX}")
]
OnnxStd = Annotated[list[str] | None, typer.Option(help=f"Divided by, after --mean. {_OF_ONNX}")]
OnnxLabels = Annotated[
    list[str] | None, typer.Option(help=f"Expressions in the order of the logits, with commas. {_OF_ONNX}")
]
AnyLabels = Annotated[bool, typer.Option("--any-labels", help="Take labels that are no expressions too.")]

INSTEAD = "xfer.cli.instead"
"""Under this name a command that takes the same options tells, in the context, what is done with them."""

MAPS_PATTERN = "{model}_{expression}_heatmap.png"
MASKS_PATTERN = "{expression}_gt.png"


def names(text: str | None) -> list[str] | None:
    """What stands between commas.

    >>> names("anger, fear"), names(None)
    (['anger', 'fear'], None)
    """
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def class_named(text: str) -> str:
    """A class by the one spelling of its expression; other words are left as they are.

    >>> class_named("Angry"), class_named("predicted")
    ('anger', 'predicted')
    """
    from xfer.labels import expressions

    return expressions([text], any_labels=True)[0]


def numbers(flag: str, text: str | None) -> list[float] | None:
    """One number, or three with commas.

    Raises
    ------
    InputError
        If it is something else.
    """
    try:
        return None if text is None else [float(number) for number in text.split(",")]
    except ValueError:
        raise InputError(f"{flag} must be one number, or three with commas; got {text!r}") from None


def of_onnx(
    size: Sequence[str] | None,
    mean: Sequence[str] | None,
    std: Sequence[str] | None,
    labels: Sequence[str] | None,
    any_labels: bool,
) -> dict[str, dict[str, Any]]:
    """What is told of networks in ONNX by the network's name, or under "" of all of them.

    >>> of_onnx(["112"], None, ["onnx:a=0.5"], ["happy,sad"], False)
    {'': {'size': 112, 'classes': ['happy', 'sad']}, 'onnx:a': {'std': [0.5]}}

    Raises
    ------
    InputError
        If a number is none.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, texts in {"size": size, "mean": mean, "std": std, "classes": labels}.items():
        for text in texts or ():
            network, _, value = text.rpartition("=")
            found.setdefault(network, {})[name] = _read(name, value)
    if any_labels:
        found.setdefault("", {})["any_labels"] = True
    return found


def _read(name: str, value: str) -> Any:
    if name == "classes":
        return [label.strip() for label in value.split(",")]
    if name != "size":
        return numbers(f"--{name}", value)
    if not value.isdigit() or not int(value):
        raise InputError(f"--size must be a number of px; got {value!r}")
    return int(value)
