"""What every widget shares: controls, a line that says what is shown or what is wrong, and a picture.

Pictures are drawn off-screen by Matplotlib. Where no kernel runs (plain Python, an exported notebook) the picture that
was last drawn is what is seen.
"""

import base64
import functools
import html
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec

import ipywidgets
from ipywidgets import HTML, Box, Layout, VBox, Widget
from matplotlib.figure import Figure

from xfer.errors import InputError
from xfer.progress import kernel_runs
from xfer.study import Study

NEEDED = (8, 1)
"""The oldest ipywidgets these widgets run with."""

DPI = 120
_SCREEN = 96
"""Dots per inch of a picture and of a screen: sharp where a screen has more."""

CONTROLS = "310px"
LABELLED: dict[str, Any] = {"style": {"description_width": "88px"}, "layout": Layout(width="calc(100% - 4px)")}
"""Of every control with a description."""

P = ParamSpec("P")


class Shown(NamedTuple):
    """What an explorer draws.

    Attributes
    ----------
    figure : Figure
    text : str
        HTML of the line above the picture; what came from files is escaped.
    alt : str
        The picture in words.
    """

    figure: Figure
    text: str
    alt: str


class Explorer(Box):
    """Controls beside a line of text and a picture.

    Attributes
    ----------
    line : HTML
        What is shown, or in one line what is wrong.
    picture : HTML
        An image with its words (``alt``), which `ipywidgets.Image` has no place for.
    png : bytes
        The picture; empty while there is none.
    figure : Figure or None
        What was drawn last, to be saved in any format: ``explorer.figure.savefig("figure.pdf")``.
    """

    title = ""
    _drawing = False

    def __init__(self, controls: Sequence[Widget], watched: Sequence[Widget], below: Sequence[Widget] = ()) -> None:
        self.line, self.picture, self.png = HTML(), HTML(), b""
        self.figure: Figure | None = None
        panel = VBox(list(controls), layout=Layout(width=CONTROLS, flex="0 0 auto", margin="0 16px 8px 0"))
        shown = VBox(
            [self.line, self.picture, *below], layout=Layout(flex="1 1 320px", min_width="300px", overflow="visible")
        )
        inside = [panel, shown] if controls else [shown]
        super().__init__(inside, layout=Layout(display="flex", flex_flow="row wrap", align_items="flex-start"))
        for control in watched:
            control.observe(self._changed, "value")
        self.redraw()

    def draw(self) -> Shown:
        """What the controls ask for."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw anew; what a user can mend becomes the line."""
        if self._drawing:
            return
        try:
            shown = self.draw()
        except InputError as error:
            self.line.value, self.picture.value, self.png = warning(str(error)), "", b""
            return
        self.figure, self.line.value, self.png = shown.figure, shown.text, png(shown.figure)
        self.picture.value = image(self.png, shown.alt, shown.figure.get_size_inches()[0])

    def _changed(self, change: Any) -> None:
        self.redraw()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Several controls change; drawing waits for the last."""
        outer, self._drawing = self._drawing, True
        try:
            yield
        finally:
            self._drawing = outer

    @property
    def told(self) -> str:
        """The line as plain text."""
        return plain(self.line.value)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs) if kernel_runs() else {}
        bundle["text/plain"] = f"{self.title}: {self.told}"
        if self.png:
            bundle["image/png"] = base64.b64encode(self.png).decode()
        return bundle

    def __repr__(self) -> str:
        """The line."""
        return f"<{self.title}: {self.told}>"


class Notice:
    """One line in a widget's place; it needs nothing of ipywidgets."""

    def __init__(self, title: str, told: str) -> None:
        self.title, self.told = title, told

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        return {"text/plain": f"{self.title}: {self.told}", "text/html": warning(f"{self.title}: {self.told}")}

    def __repr__(self) -> str:
        """The line."""
        return f"<{self.title}: {self.told}>"


def explorer(title: str) -> Callable[[Callable[P, Explorer]], Callable[P, Explorer | Notice]]:
    """Make what a user can mend a `Notice` in the widget's place."""

    def wrap(make: Callable[P, Explorer]) -> Callable[P, Explorer | Notice]:
        @functools.wraps(make)
        def made(*args: P.args, **kwargs: P.kwargs) -> Explorer | Notice:
            if old := outdated():
                return Notice(title, old)
            try:
                return make(*args, **kwargs)
            except InputError as error:
                return Notice(title, str(error))

        return made

    return wrap


def outdated() -> str:
    """What to do about an ipywidgets that is too old; "" where it is not."""
    if tuple(map(int, ipywidgets.__version__.split(".")[:2])) >= NEEDED:
        return ""
    needed = ".".join(map(str, NEEDED))
    return (
        f"ipywidgets {ipywidgets.__version__} is too old; run pip install 'ipywidgets>={needed}', restart the kernel "
        "and reload the page"
    )


def opened(study: Study | str | Path) -> Study:
    """A study, opened if its folder is given.

    Raises
    ------
    InputError
        As `Study`; where it is unfinished the message says what follows it.
    """
    found = study if isinstance(study, Study) else Study(study)
    try:
        found.heatmaps, found.mask_sources, found.scores, found.provenance  # noqa: B018
    except InputError as error:
        if "is unfinished" not in str(error):
            raise
        raise InputError(f"{error} (training_view({found.place!r}) follows it)") from None
    return found


def png(figure: Figure) -> bytes:
    """A figure as a PNG."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=DPI, pil_kwargs={"compress_level": 1})
    return file.getvalue()


def image(content: bytes, alt: str, inches: float) -> str:
    """HTML of a PNG, as wide as it is in print or as there is room; in a dark notebook it has a white margin."""
    return (
        f'<img src="data:image/png;base64,{base64.b64encode(content).decode()}" alt="{escaped(alt)}" '
        f'width="{inches * _SCREEN:.0f}" style="max-width: calc(100% - 12px); height: auto; padding: 6px; '
        'background: white; border-radius: 4px">'
    )


def escaped(text: object) -> str:
    """Text from anywhere, safe in HTML."""
    return html.escape(str(text).encode("utf-8", "backslashreplace").decode())


def warning(text: str) -> str:
    """HTML of one line about what is wrong; its letters have the colour of the notebook's theme."""
    style = "line-height: 1.4; border-left: 3px solid #d55e00; padding-left: 8px"
    return f'<div role="alert" style="{style}"><b>{escaped(text)}</b></div>'


def plain(markup: str) -> str:
    """The text of an explorer's own HTML.

    >>> plain("<b>IoU</b> 0.5 &lt; 1<br>otsu")
    'IoU 0.5 < 1 otsu'
    """
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", markup).split()))
