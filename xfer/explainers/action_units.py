"""Action Unit attribution: Shapley values of the face's parts that the same Action Units move.

Players are the disjoint atoms of a region source, the rest of the face and the background, so that they add up to what
the network makes of the face over what it makes of the baseline. These are attributions to pixels: what a face without
an Action Unit would do to the network is another question, see `xfer.study.interventions`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.explainers.families import Look
from xfer.explainers.images import check_images
from xfer.explainers.kernel_shap import shapley_coefficients
from xfer.explainers.perturbation import Perturbation, Scene
from xfer.explainers.segments import frame_regions, region_players
from xfer.explainers.shared_pass import logits_of
from xfer.explainers.state import check_finite, place, still
from xfer.explainers.targets import columns, read_targets
from xfer.geometry import load_frame
from xfer.masks import Codebook
from xfer.masks.codebooks import load as load_codebook
from xfer.masks.codebooks import names as codebook_names
from xfer.warping import FLIPPED_TOLERANCE, to_frame

__all__ = ["UnitValues", "attribute_units", "given_units", "members", "open_codebook", "unfit_faces", "unit_values"]

NO_LANDMARKS = "no landmarks"
TURNED = f"turned-over triangles take more than {FLIPPED_TOLERANCE:.0%} of the face"
NO_PIXEL = "covers no pixel of this picture"
NO_SHARE = "no player moves the class"

_TOGETHER = 8
"""Faces whose coalitions are drawn and held at once."""


@dataclass(frozen=True)
class UnitValues:
    """What each player adds to a network's answer.

    Attributes
    ----------
    players : tuple of str
        ``"background"``, ``"face"`` (what no Action Unit covers), then atoms by every Action Unit that covers them,
        such as ``"AU12/14/15"``.
    targets : int tensor (face, target)
        The classes explained.
    phi : float64 tensor (face, player, target)
        Shapley values, signed; NaN for a player without a pixel in the picture. The others add up to
        ``whole - nothing``.
    pixels : int tensor (face, player)
        How many pixels each player has.
    whole, nothing : float64 tensor (face, target)
        What the network says to the face and to the baseline.
    predicted : int tensor (face,)
        The class with the highest logit.
    """

    players: tuple[str, ...]
    targets: Tensor
    phi: Tensor
    pixels: Tensor
    whole: Tensor
    nothing: Tensor
    predicted: Tensor


def unfit_faces(landmarks: Tensor, size: tuple[int, int], frame: str = "xfer") -> list[str]:
    """Why the regions cannot be laid on each face; "" where they can.

    Parameters
    ----------
    landmarks : tensor (face, 68, 2)
        In px of the images.
    size : (int, int)
        Height and width of the images, px.
    frame : str

    Examples
    --------
    >>> unfit_faces(torch.full((1, 68, 2), torch.nan), (64, 64))
    ['no landmarks']
    """
    points = landmarks.detach().cpu().double()
    finite = points.isfinite().flatten(1).all(1)
    canvas = load_frame(frame)
    kept = [bool(to_frame(torch.zeros(1, 1, 1, 1), one[None], canvas, size=size).kept) for one in points]
    return [
        NO_LANDMARKS if not known else "" if fits else TURNED for known, fits in zip(finite.tolist(), kept, strict=True)
    ]


def unit_values(
    model: nn.Module,
    images: Tensor,
    landmarks: Any,
    targets: Any = "all",
    *,
    regions: str = "xfer",
    samples: int = 512,
    output: str = "probability",
    baseline: Any = "black",
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    seed: int = 0,
    batch_size: int = 32,
    tick: Callable[[], None] | None = None,
) -> UnitValues:
    """Shapley values of Action Unit regions, the rest of the face and the background.

    By KernelSHAP with paired coalitions, all classes from the same forwards; exact where a face's players have no more
    coalitions than `samples`. That they add up holds exactly either way. A player without a pixel in a picture does
    not play there.

    Parameters
    ----------
    model : nn.Module
        Images in, logits (face, class) out; left as it was.
    images : tensor (face, channel, y, x)
        Preprocessed as the network expects.
    landmarks : array (face, 68, 2)
        In px of the images.
    targets : str, int, or array-like
        As `xfer.explainers.attribute` takes them.
    regions : str
        A region source of `xfer.masks`.
    samples : int
        Coalitions a face.
    output : {"probability", "logit"}
        What is explained.
    baseline, mean, std
        See `xfer.explainers.perturbation.Perturbation`.
    seed : int
        Of the coalitions; a face's do not depend on the batch it comes in.
    batch_size : int
        The most images in one forward.
    tick : callable, optional
        Called after every face.

    Returns
    -------
    UnitValues

    Raises
    ------
    InputError
        If there are no such regions or class, images do not fit, or a face has no landmarks or too many triangles
        that turn over (`unfit_faces`).

    References
    ----------
    Lundberg and Lee 2017, doi:10.48550/arXiv.1705.07874; paired coalitions after Covert and Lee 2021,
    doi:10.48550/arXiv.2012.01536.
    """
    check_images(images)
    size, points = (images.shape[-2], images.shape[-1]), torch.as_tensor(landmarks).double()
    if points.shape != (len(images), 68, 2):
        raise InputError(f"'landmarks' must be ({len(images)}, 68, 2), px; got {tuple(points.shape)}")
    wanted = read_targets(targets, len(images))
    frame_regions(regions)  # regions that are not there are told before faces that do not fit
    for face, why in enumerate(unfit_faces(points, size)):
        if why:
            raise InputError(f"face {face}: {why}: Action Unit regions cannot be laid on it; leave it out")
    parts, names = _parts(points, size, regions)
    settings = Perturbation(
        segments=parts, samples=samples, output=output, baseline=baseline, mean=mean, std=std, seed=seed
    )
    check_finite(model)
    device, dtype = place(model)
    found = []
    with torch.inference_mode(False), still(model):
        for start in range(0, len(images), _TOGETHER):
            batch = images[start : start + _TOGETHER].to(device, dtype)
            logits = torch.cat([logits_of(model, part) for part in batch.split(batch_size)])
            look = Look(model, batch, logits, columns(wanted, logits, start), start, batch_size)
            found.append(_values(Scene(look, settings), len(names)))
            if tick:
                for _ in batch:
                    tick()
    return UnitValues(names, *(torch.cat(each) for each in zip(*found, strict=True)))


def _parts(landmarks: Tensor, size: tuple[int, int], regions: str) -> tuple[Tensor, tuple[str, ...]]:
    """Each pixel's player: uint8 (face, y, x), and the players' names."""
    found = [region_players(some, size, regions) for some in landmarks.split(_TOGETHER)]
    return torch.cat([players.parts.to(torch.uint8) for players in found]), found[0].names


def _values(scene: Scene, players: int) -> tuple[Tensor, ...]:
    """The fields of `UnitValues` for a few faces; the scene's own players are those that a face shows, in order."""
    look = scene.look
    ends = torch.tensor([True, False], device=look.images.device)[None, :, None]
    said = scene.coalitions(ends.expand(len(look.images), -1, scene.players.most))
    values = shapley_coefficients(scene)
    phi = values.new_full((len(values), players, values.shape[2]), torch.nan)
    whole = torch.as_tensor(scene.settings.segments)[look.start : look.start + len(phi)]
    pixels = torch.stack([part.flatten().long().bincount(minlength=players) for part in whole]).to(phi.device)
    for face, shown in enumerate(pixels > 0):
        phi[face, shown] = values[face, : int(shown.sum())]
    return look.classes, phi, pixels, said[:, 0], said[:, 1], look.logits.argmax(1)


def members(player: str) -> tuple[str, ...]:
    """The Action Units that a player's name holds.

    >>> members("AU12/14/15"), members("background")
    (('AU12', 'AU14', 'AU15'), ())
    """
    return tuple(f"AU{number}" for number in player[2:].split("/")) if player.startswith("AU") else ()


def open_codebook(name: str) -> Codebook:
    """A codebook that says which Action Units an expression has.

    Raises
    ------
    InputError
        If it draws its shapes without Action Units, or as `xfer.masks.codebooks.load`.
    """
    found = load_codebook(name)
    if not found.action_units:
        named = [each for each in codebook_names() if load_codebook(each).action_units]
        raise InputError(f"codebook {name!r} draws shapes, not Action Units; take one of {', '.join(named)}")
    return found


def given_units(codebook: Codebook, label: str) -> frozenset[str] | None:
    """The Action Units that a codebook gives to a class; None where it gives none, or the class is no expression.

    >>> sorted(given_units(open_codebook("facs_investigator"), "happiness"))
    ['AU12', 'AU6']
    """
    entry = codebook.expressions.get(label)
    return frozenset(entry.weights) if entry is not None and entry.weights else None


def attribute_units(
    model: nn.Module,
    images: Tensor,
    landmarks: Any,
    targets: Any = "all",
    *,
    classes: Sequence[str],
    faces: Sequence[str] | None = None,
    codebook: str = "facs_investigator",
    **options: Any,
) -> pd.DataFrame:
    """Action Unit attribution as a table: `unit_values` with names, one row a face, class and player.

    Parameters
    ----------
    model, images, landmarks, targets
        As `unit_values` takes them; targets may be names too.
    classes : sequence of str
        Names in the order of the logits.
    faces : sequence of str, optional
        The faces' names; their numbers by default.
    codebook : str
        Of `xfer.masks.codebooks`.
    **options
        Of `unit_values`.

    Returns
    -------
    DataFrame
        ``face``, ``predicted``, ``class``, ``player``, ``area`` (the share of the picture's pixels), ``phi`` (signed),
        ``sign``, ``share`` (|phi| / sum |phi| over the face's players), ``inside_codebook`` (whether the codebook gives
        any of the player's Action Units to the class; missing where it gives the class none) and ``reason`` (why
        numbers are NaN). The attributes hold ``codebook`` and ``output``.

    Raises
    ------
    InputError
        As `unit_values`; if a class, or the codebook, is not there.
    """
    book = open_codebook(codebook)
    names = [str(number) for number in range(len(images))] if faces is None else list(faces)
    values = unit_values(model, images, landmarks, read_targets(targets, len(images), classes), **options)
    if (most := int(max(values.targets.max(), values.predicted.max()))) >= len(classes):
        raise InputError(f"'classes' has {len(classes)} names; the network's class {most} has none")
    table = _table(values, names, classes)
    given = {label: given_units(book, label) for label in classes}
    inside = [_inside(given[row[0]], row[1]) for row in zip(table["class"], table["player"], strict=True)]
    table.insert(8, "inside_codebook", pd.Series(inside, dtype="boolean"))
    table.attrs |= {"codebook": book.name, "output": options.get("output", "probability")}
    return table


def _inside(given: frozenset[str] | None, player: str) -> bool | None:
    return None if given is None else not given.isdisjoint(members(player))


def _table(values: UnitValues, faces: Sequence[str], classes: Sequence[str]) -> pd.DataFrame:
    phi = values.phi.mT.cpu().numpy()
    count, targets, players = phi.shape
    total = np.nansum(np.abs(phi), axis=2, keepdims=True)
    share = np.abs(phi) / np.where(total > 0, total, np.nan)
    names, pixels = np.array(classes, dtype=object), values.pixels.cpu().numpy()
    area = np.broadcast_to((pixels / pixels.sum(1, keepdims=True))[:, None], phi.shape)
    reason = np.where(np.isnan(phi), NO_PIXEL, np.where(np.isnan(share), NO_SHARE, ""))
    return pd.DataFrame(
        {
            "face": np.repeat(np.array(faces, dtype=object), targets * players),
            "predicted": np.repeat(names[values.predicted.cpu().numpy()], targets * players),
            "class": np.repeat(names[values.targets.cpu().numpy()].ravel(), players),
            "player": np.tile(np.array(values.players, dtype=object), count * targets),
            "area": area.ravel(),
            "phi": phi.ravel(),
            "sign": np.sign(phi).ravel(),
            "share": share.ravel(),
            "reason": reason.ravel().astype(object),
        }
    )
