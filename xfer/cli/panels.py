"""Under which headings ``--help`` shows commands, and the options of those that have many."""

from collections.abc import Iterator
from typing import Any

_COMMANDS = {
    "Begin": ("init", "doctor"),
    "Studies": ("plan", "compare", "train", "guide", "report"),
    "Networks and heatmaps": ("models", "explain", "explainers", "export", "score", "metrics"),
    "Faces and masks": ("data", "landmarks", "assets", "masks", "annotate"),
}
_OPTIONS = {
    "Faces": ("data", "expressions", "min_faces", "landmarker", "drawn"),
    "Networks": ("models", "preset", "pretrained", "weights", "folds", "seed", "seeds", "device"),
    "Networks in ONNX whose file does not tell": ("size", "mean", "std", "labels", "any_labels"),
    "Guided training": (
        "guide", "guide_weight", "guide_schedule", "guide_warm_up", "guide_layers", "guide_loss", "guide_masks",
        "output_stride", "controls", "ablate",
    ),
    "Explaining": (
        "explainers", "explainer", "explained", "samples", "segments", "baseline", "per_face", "randomised",
    ),
    "Heatmaps that are there": ("heatmaps", "pattern", "pooled", "pooled_pattern", "frame", "allow_missing"),
    "Scores": ("masks", "mask_pattern", "support", "metrics", "threshold", "linkage", "draws"),
    "Where it runs": ("engine", "address", "gpus", "all_gpus", "memory", "workers", "devices", "nodes", "strategy"),
    "What is written": ("out", "fresh", "faces"),
}  # fmt: skip
_MANY = 20
"""Options from which on a command has headings."""


def arrange(root: Any) -> Any:
    """Put commands and their options under headings; a new one stands under the common heading.

    Parameters
    ----------
    root : click.Group
        As `typer.main.get_command` makes it; changed in place.

    Returns
    -------
    click.Group
        The same.
    """
    for heading, names in _COMMANDS.items():
        for name in names:
            root.commands[name].rich_help_panel = heading
    order = [name for names in _COMMANDS.values() for name in names]
    root.commands = {name: root.commands[name] for name in dict.fromkeys([*order, *root.commands])}
    headings = {name: heading for heading, names in _OPTIONS.items() for name in names}
    for command in _commands(root):
        if len(command.params) >= _MANY:
            for option in command.params:
                option.rich_help_panel = headings.get(option.name, option.rich_help_panel)
    return root


def _commands(group: Any) -> Iterator[Any]:
    for command in group.commands.values():
        yield from _commands(command) if hasattr(command, "commands") else [command]
