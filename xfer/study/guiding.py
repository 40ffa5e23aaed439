"""What guides the networks of a study: its options, settled before anything runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xfer import models
from xfer.errors import InputError, unknown
from xfer.guidance import CONTROLS, Guidance, Guide, Maps
from xfer.training import Settings
from xfer.training.guided import guide_facts

PRESETS: Mapping[str, Guide] = {"belharbi2024": Guide(weight=4.0, layers=("last",), output_stride=8)}
"""Guides of presets, the others have none; the published weight for RAF-DB, for AffectNet it is 9."""

UNGUIDED = {"control": "none"}
"""In place of a guide's `guide_facts`."""

FLAGS = {
    "weight": "--guide-weight",
    "schedule": "--guide-schedule",
    "warm_up": "--guide-warm-up",
    "layers": "--guide-layers",
    "loss": "--guide-loss",
    "masks": "--guide-masks",
}


def settle(
    preset: str,
    control: str | None = None,
    *,
    weight: float | None = None,
    schedule: str | None = None,
    warm_up: float | None = None,
    layers: str | Sequence[str | int] | None = None,
    loss: str | None = None,
    masks: str | Path | None = None,
    output_stride: int | None = None,
    seed: int = 0,
) -> Guide | None:
    """The guide of some options; None where networks are trained plainly and as they are.

    Parameters
    ----------
    preset : str
        Whose guide stands in for what is not given.
    control : str, optional
        Of `xfer.guidance.CONTROLS`.
    weight, schedule, warm_up, layers, loss, masks, output_stride
        See `xfer.guidance.Guide`; layers may be one text with commas.
    seed : int
        Of the controls that draw at random.

    Raises
    ------
    InputError
        If an option is out of range, or there is one for a guide but no guide.

    Examples
    --------
    >>> settle("quick") is None, settle("quick", "au", weight=2).weight, settle("belharbi2024").output_stride
    (True, 2.0, 8)
    """
    if control is not None and control not in CONTROLS:
        raise unknown("--guide", control, CONTROLS)
    start = PRESETS.get(preset, Guide(control="none"))
    told: dict[str, Any] = {
        "weight": weight, "schedule": schedule, "warm_up": warm_up, "layers": layers, "loss": loss, "masks": masks,
    }  # fmt: skip
    given = {name: value for name, value in told.items() if value is not None}
    chosen = control or start.control
    stride = start.output_stride if output_stride is None else output_stride
    if chosen == "none":
        if given:
            raise InputError(f"{', '.join(FLAGS[name] for name in given)}: nothing is guided; add --guide au")
        return Guide(control="none", output_stride=stride) if stride else None
    if isinstance(layers, str):
        given["layers"] = [name.strip() for name in layers.split(",") if name.strip()]
    changes = {"control": chosen, "output_stride": stride, "seed": seed, **given}
    if "layers" in given:
        changes["layers"] = tuple(given["layers"])
    if "masks" in given:
        changes["masks"] = str(masks)
    for name in ("weight", "warm_up"):
        if name in given:
            changes[name] = float(given[name])
    return start.change(**changes)


def described(guide: Guide | None) -> dict[str, Any]:
    """The guide's table in ``study.toml``; no path."""
    return UNGUIDED if guide is None else guide_facts(guide)


def require(
    guide: Guide | None, networks: Mapping[str, Settings], classes: Sequence[str], *, strict: bool
) -> dict[str, Guide | None]:
    """The guide of each network; a guide that fits none of them is refused.

    One of several that it does not fit fails by itself later.

    Parameters
    ----------
    guide : Guide or None
    networks : mapping of str to Settings
    classes : sequence of str
    strict : bool
        Whether the output stride was asked for; a preset's gives way where a network has its own only.

    Raises
    ------
    InputError
        As `xfer.guidance.Guidance`, for the first network.
    """
    if guide is None:
        return dict.fromkeys(networks)
    if guide.control != "none":
        Maps(guide, classes)
    found: dict[str, Guide | None] = {}
    slips: list[str] = []
    for name, settings in networks.items():
        own = found[name] = guide if strict else _with_stride(guide, name, settings.size, len(classes))
        if len(slips) < len(found) - 1:
            continue  # it fits one of those before
        try:
            model = models.build(name, len(classes), size=settings.size, output_stride=own.output_stride)
            Guidance(model, own, classes, settings.size)
        except InputError as error:
            slips.append(f"{name}: {error}")
    if len(slips) == len(networks):
        raise InputError(slips[0])
    return found


def _with_stride(guide: Guide, network: str, size: int, classes: int) -> Guide:
    """The guide, without its output stride where the network has its own only."""
    if guide.output_stride:
        try:
            models.build(network, classes, size=size, output_stride=guide.output_stride)
        except InputError:
            return guide.change(output_stride=0)
    return guide
