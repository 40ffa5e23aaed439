"""Action Units by hand: where they act, the face that shows them, the codebooks that have them together."""

import functools
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from ipywidgets import HTML, Box, Dropdown, FloatSlider, IntSlider, Layout, ToggleButton, VBox
from matplotlib.figure import Figure

from xfer import geometry
from xfer.datasets import synthetic
from xfer.errors import InputError, unknown
from xfer.labels import au_number
from xfer.masks import MERGES, REGION, codebooks, facs, regions
from xfer.report.canvas import INK, STYLE, spoken
from xfer.report.panels import draw_lines, outline, sheet
from xfer.report.widgets.explorer import LABELLED, Explorer, Shown, escaped, explorer
from xfer.report.widgets.overlays import draw_mixed
from xfer.study.own_face import drawn_face

_SIDE, _GAP, _TOP = 256, 0.12, 0.3
"""Side of the drawn face in px; inches between the two pictures and above them."""
_ROWS = 10
_TINT = np.array([0.0, 0.447, 0.698])
HAPPY = {"AU6": 0.8, "AU12": 1.0}


@explorer("AU explorer")
def action_unit_explorer(action_units: Mapping[str, float] = HAPPY, *, region_source: str = "xfer") -> Explorer:
    """Put Action Units together and see what they make.

    Parameters
    ----------
    action_units : mapping of AU code to intensity in (0, 1]
        Those that are on at first.
    region_source : str
        Where Action Units act, at first: one of `xfer.masks.regions.names`.

    Returns
    -------
    Explorer or Notice
        `ActionUnitExplorer` names the controls.

    Examples
    --------
    >>> explorer = action_unit_explorer({"AU4": 1.0})
    >>> explorer.units["AU9"].value = True
    >>> action_unit_explorer({"AU99": 1.0}).told[:37]
    "'action unit' must be one of AU1, AU2"
    """
    return ActionUnitExplorer(action_units, region_source)


class ActionUnitExplorer(Explorer):
    """See `action_unit_explorer`.

    Attributes
    ----------
    units : dict of str to ToggleButton
        By AU code.
    intensities : dict of str to FloatSlider
        Shown for those that are on.
    regions, merge : Dropdown
        Where Action Units act, and how their maps become one mask.
    person : IntSlider
        Who is drawn.
    table : HTML
        The codebooks' expressions with all of these Action Units.
    """

    title = "AU explorer"

    def __init__(self, action_units: Mapping[str, float], region_source: str) -> None:
        known = _known()
        for code, intensity in action_units.items():
            if code not in known:
                raise unknown("action unit", code, known)
            if not 0 < intensity <= 1:
                raise InputError(f"the intensity of {code} must lie in (0, 1]; got {intensity}")
        if region_source not in regions.names():
            raise unknown("regions", region_source, regions.names())
        self.units = {
            code: ToggleButton(
                value=code in action_units, description=code, tooltip=name, layout=Layout(width="58px", margin="1px")
            )
            for code, name in known.items()
        }
        self.intensities = {
            code: FloatSlider(action_units.get(code, 1.0), min=0.05, max=1, step=0.05, description=code, **LABELLED)
            for code in known
        }
        self.regions = Dropdown(options=regions.names(), value=region_source, description="regions", **LABELLED)
        self.merge = Dropdown(options=list(MERGES), description="merge", **LABELLED)
        self.person = IntSlider(12, min=0, max=40, description="person", **LABELLED)
        self.on, self.table = VBox(), HTML()
        buttons = Box(list(self.units.values()), layout=Layout(display="flex", flex_flow="row wrap"))
        watched = [*self.units.values(), *self.intensities.values(), self.regions, self.merge, self.person]
        super().__init__([buttons, self.on, self.regions, self.merge, self.person], watched, [self.table])

    @property
    def chosen(self) -> dict[str, float]:
        """The Action Units that are on, with their intensities."""
        return {code: float(self.intensities[code].value) for code, button in self.units.items() if button.value}

    def draw(self) -> Shown:
        """The drawn face, and the mask beside it."""
        chosen = self.chosen
        self.on.children = tuple(self.intensities[code] for code in chosen)
        self.table.value = _books(chosen)
        placed = regions.load(self.regions.value).action_units
        missing = [code for code in chosen if code not in placed]
        mute = [code for code in chosen if code not in synthetic.CODES]
        maps = [unit_map(self.regions.value, code) for code in chosen if code in placed]
        frame = geometry.load_frame()
        mask = np.zeros((frame.height, frame.width), np.float32)
        if maps:
            weights = [value for code, value in chosen.items() if code in placed]
            mask = np.asarray(MERGES[self.merge.value](maps, weights))
        shown = {code: value for code, value in chosen.items() if code in synthetic.CODES}
        face = synthetic.draw(synthetic.Face(self.person.value, action_units=shown), _SIDE)
        figure = face_and_mask(face, mask, f"mask, {self.regions.value} / {self.merge.value}")
        told = [
            f"The mask covers {(mask[frame.support] >= REGION).mean():.0%} of the face (values of {REGION} or more)"
        ]
        told += [f"{', '.join(missing)} has no region in {self.regions.value}"] if missing else []
        told += [f"{', '.join(mute)} cannot be drawn"] if mute else []
        alt = f"A drawn face that shows {', '.join(chosen) or 'no Action Unit'}, and the mask of these Action Units"
        return Shown(figure, escaped("; ".join(told)), alt)


@functools.cache
def _known() -> dict[str, str]:
    """The Action Units that some source places or that can be drawn, with their names."""
    placed = {code for name in regions.names() for code in regions.load(name).action_units}
    named = facs.action_units()
    return {code: named[code].name for code in sorted({*placed, *synthetic.CODES}, key=au_number)}


@functools.lru_cache(maxsize=256)
def unit_map(source: str, code: str) -> np.ndarray:
    """Where one Action Unit acts on the canonical frame: (y, x) in [0, 1]."""
    found, frame = regions.load(source), geometry.load_frame()
    points = frame.mesh if found.drawing.points == geometry.MESH_POINTS else frame.points[: found.drawing.points]
    (drawn,) = regions.draw_units(found, [code], points, height=frame.height, width=frame.width).values()
    return np.asarray(drawn)


@functools.cache
def _expressions() -> tuple[tuple[str, str, frozenset[str]], ...]:
    """Every expression of every codebook that tells its Action Units."""
    books = [codebooks.load(name) for name in codebooks.names()]
    return tuple((b.name, e.name, frozenset(e.weights)) for b in books for e in b.expressions.values() if e.weights)


def _books(chosen: Mapping[str, float]) -> str:
    """The expressions that contain the chosen Action Units, those with the fewest others first."""
    wanted = set(chosen)
    if not wanted:
        return "Switch Action Units on to see the expressions that contain them."
    holding = sorted((e for e in _expressions() if wanted <= e[2]), key=lambda e: len(e[2]))
    named = ", ".join(f"{code} ({_known()[code]})" for code in chosen)
    head = f"<b>Expressions with {escaped(named)}</b>"
    if not holding:
        near = max(_expressions(), key=lambda e: (len(wanted & e[2]), -len(e[2])))
        shared = " + ".join(sorted(wanted & near[2], key=au_number)) or "none of them"
        return f"{head}: none; {escaped(spoken(near[1]))} in {escaped(near[0])} comes nearest, with {escaped(shared)}"
    rows = "".join(_row(*entry, wanted) for entry in holding[:_ROWS])
    more = f"<div>and {len(holding) - _ROWS} more</div>" if len(holding) > _ROWS else ""
    return f'{head}<table style="line-height: 1.5"><tbody>{rows}</tbody></table>{more}'


def _row(book: str, expression: str, units: frozenset[str], wanted: set[str]) -> str:
    marked = (f"<b>{code}</b>" if code in wanted else code for code in sorted(units, key=au_number))
    cells = (escaped(spoken(expression)), escaped(book), " ".join(marked))
    return "<tr>" + "".join(f'<td style="padding: 0 14px 0 0">{cell}</td>' for cell in cells) + "</tr>"


@mpl.rc_context(STYLE)
def face_and_mask(face: np.ndarray, mask: np.ndarray, title: str) -> Figure:
    """A drawn face, and beside it a mask on the frame over a neutral face.

    Parameters
    ----------
    face : uint8 array (y, x, 3)
    mask : array (y, x) in [0, 1]
        On the frame ``xfer``; what reaches `masks.REGION` is outlined.
    title : str
    """
    height = 3.2
    across = height * mask.shape[1] / mask.shape[0]
    fig, ax = sheet(height + across + 3 * _GAP, _TOP + height + _GAP)
    draw_mixed(ax, face / 255, (_GAP, _TOP, height, height))
    box = (height + 2 * _GAP, _TOP, across, height)
    under = drawn_face()[..., :3] @ (0.299, 0.587, 0.114)
    weight = 0.75 * mask[..., None]
    draw_mixed(ax, (1 - weight) * (0.4 + 0.6 * under[..., None]) + weight * _TINT, box)
    draw_lines(ax, outline(np.where(mask >= REGION, 1.0, 0.0)), box, mask.shape)
    for left, text in ((_GAP, "drawn face"), (box[0], title)):
        ax.text(left, _TOP - 0.07, text, ha="left", va="bottom", weight="bold", size=8.5, color=INK)
    return fig
