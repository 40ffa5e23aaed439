"""The annotation widget: a rater says which expression a face shows, and marks where."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ipywidgets import HTML, Button, Dropdown, HBox, IntProgress, IntSlider, Layout, ToggleButtons, VBox
from markupsafe import escape
from matplotlib.figure import Figure

from xfer.annotation import Collection, Session, collect
from xfer.annotation.collection import SIDE
from xfer.annotation.marks import Click, Mark
from xfer.annotation.parts import parts, pieces
from xfer.annotation.session import NONE, UNSURE
from xfer.errors import InputError
from xfer.progress import kernel_runs
from xfer.report.face_parts import parts_figure
from xfer.report.widgets.easel import BRUSH, ERASER, PART, Easel
from xfer.report.widgets.explorer import outdated

HOW = """<h3>What makes you see an expression?</h3>
<ol><li>Look at the face and choose the expression you see. There is no right answer to find.</li>
<li>Mark the places that made you see it: paint them with the brush, or click parts of the face.</li>
<li><b>Save and next</b> keeps the face at once. You may stop at any time: the next start goes on here.</li></ol>
<p>Now and then you are asked to paint a part of the face instead; please do so.</p>"""


def annotate(
    data: str = "synthetic",
    rater: str = "",
    *,
    out: str | Path | None = None,
    faces: int | None = None,
    seed: int | None = None,
    expressions: Iterable[str] | None = None,
    landmarker: str = "mediapipe",
) -> "Annotation | Figure":
    """A widget with which a rater marks faces; every face is saved before the next one is shown.

    Parameters
    ----------
    data : str
        As `xfer.datasets.open` takes.
    rater : str
        Any name; only a salted id of it is kept. The same name goes on where it stopped.
    out : path, optional
        The folder of the raters' files; ``reports/<data>-raters`` by default.
    faces, seed, expressions, landmarker
        See `xfer.annotation.collect`.

    Returns
    -------
    Annotation or Figure
        Where no kernel runs, a picture of the parts that can be clicked; nothing is opened or written then.

    Raises
    ------
    InputError
        As `xfer.annotation.collect` and `xfer.annotation.Session`.
    """
    if not kernel_runs():
        return parts_figure()
    if old := outdated():
        raise InputError(old)
    chosen = {"faces": faces, "seed": seed, "expressions": expressions, "landmarker": landmarker}
    collection = collect(data, out, **chosen)  # type: ignore[arg-type]
    return Annotation(Session(collection, rater))


class Annotation(VBox):
    """A rater's screen.

    Attributes
    ----------
    session : Session
    easel : Easel
    """

    def __init__(self, session: Session) -> None:
        """Show the way, or where a rater left off."""
        super().__init__()
        self.session = session
        self.easel = Easel(SIDE, self._marked, lambda: self.session.pieces)
        self._progress = IntProgress(max=len(session.tasks), layout=Layout(width="100%"))
        self._head, self._question, self._told = HTML(), HTML(), HTML()
        self._answers = ToggleButtons(options=_options(session.collection), style={"button_width": "9.5em"})
        self._tool = ToggleButtons(
            options=[("Brush", BRUSH), ("Parts", PART), ("Eraser", ERASER)],
            tooltips=["Paint", "Click parts of the face", "Take away"],
            style={"button_width": "5.8em"},
        )
        self._size = IntSlider(self.easel.size, 6, SIDE // 5, description="Width")
        self._part = Dropdown(options=[("choose ...", ""), *_pieces()], description="or a part")
        self._undo = _button("Undo", "Take the last mark back", self._changed(session.undo))
        self._clear = _button("Clear", "Take all marks back", self._changed(session.clear))
        self._back = _button("Back", "Show the face before this one again", self._turned(session.back))
        self._save = _button("Save and next", "Keep this face", self._turned(session.save), "primary")
        self._tool.observe(lambda change: self._set("tool", change["new"]), "value")
        self._size.observe(lambda change: self._set("size", change["new"]), "value")
        self._answers.observe(self._chosen, "value")
        self._part.observe(self._picked, "value")
        self._welcome()

    def _welcome(self) -> None:
        done, n = self.session.resumed, len(self.session.tasks)
        if not done:
            self._show(HTML(HOW), _button("Start", "Show the first face", self._begin, "primary"))
            return
        torn = "<p>The last answer was cut off when it was written; that face comes again.</p>"
        text = (
            f"<h3>{done} of {n} faces are saved under this name</h3><p>If you saved them, go on. If not, somebody "
            f"else has your name: please take another one.</p>{torn if self.session.mended else ''}"
        )
        mine = _button("It was me: go on", "Show the next face", self._begin, "primary")
        other = _button("It was not me", "Leave these faces alone", self._leave)
        self._show(HTML(text), HBox([mine, other]))

    def _show(self, *children: Any) -> None:
        self.children = children

    def _leave(self) -> None:
        self.session.close()
        self._show(HTML("<p>Nothing was changed. Start again with another name.</p>"))

    def _begin(self) -> None:
        gap = Layout(margin="0.8em 0 0 0")
        tools = VBox([self._tool, self._size, self._part, HBox([self._undo, self._clear])], layout=gap)
        side = VBox([self._question, self._answers, tools, HBox([self._back, self._save], layout=gap), self._told])
        side.layout = Layout(width="22em", padding="0 0 0 1em")
        wrap = Layout(flex_flow="row wrap")
        self._show(self._head, self._progress, HBox([self.easel.canvas, side], layout=wrap))
        self._next()

    def _next(self) -> None:
        """Show the task that is due."""
        session = self.session
        done = len(session.answers)
        self._progress.value = done
        if session.finished:
            session.close()
            self._show(HTML("<h3>Thank you. Everything is saved.</h3><p>You can close this tab.</p>"))
            return
        self._head.value = f"<b>Face {session.position + 1} of {len(session.tasks)}</b>, {done} saved"
        asked = session.said
        self._question.value = (
            f"<b>On this face, please paint {escape(asked)}.</b>" if asked else "<b>Which expression do you see?</b>"
        )
        self._answers.layout.display = "none" if asked else "flex"
        self._answers.value = session.seen or None
        self._back.disabled = session.position == 0
        self._say("")
        self.easel.show(session.shown.picture, session.marked())

    def _marked(self, mark: Mark) -> None:
        self._changed(lambda: self.session.add(mark))()

    def _picked(self, change: dict[str, Any]) -> None:
        """A part chosen from the list, as by keyboard."""
        if change["new"]:
            self._part.value = ""
            self._marked(Click(change["new"]))

    def _chosen(self, change: dict[str, Any]) -> None:
        self.session.seen = change["new"] or ""
        self._say(
            "" if not self.session.seen or self.session.seen in (NONE, UNSURE) else "Now mark what makes you see it."
        )

    def _set(self, name: str, value: Any) -> None:
        setattr(self.easel, name, value)

    def _changed(self, act: Callable[[], None]) -> Callable[[], None]:
        """An act on the marks, and the marks shown again."""

        def then() -> None:
            try:
                act()
                self._say("")
            except InputError as error:
                self._say(str(error))
            self.easel.show_marks(self.session.marked())

        return then

    def _turned(self, act: Callable[[], None]) -> Callable[[], None]:
        """An act that leads to another face, or says why not."""

        def then() -> None:
            try:
                act()
                self._next()
            except InputError as error:
                self._say(str(error))

        return then

    def _say(self, text: str) -> None:
        self._told.value = f'<span role="status">{escape(text)}</span>'


def _options(collection: Collection) -> Sequence[tuple[str, str]]:
    there = [(name.replace("_", " "), name) for name in collection.expressions]
    return [*there, ("none of these", NONE), ("cannot tell", UNSURE)]


def _pieces() -> list[tuple[str, Any]]:
    """Everything that can be clicked, in words; left is the viewer's."""
    named = []
    for name, i in pieces():
        sides = ("", "") if len(parts()[name].shapes) == 1 else (", left", ", right")
        named.append((parts()[name].said + sides[i], (name, i)))
    return named


def _button(text: str, tooltip: str, act: Callable[[], None], style: str = "") -> Button:
    button = Button(
        description=text, tooltip=tooltip, button_style=style, layout=Layout(width="auto", align_self="flex-start")
    )
    button.on_click(lambda _: act())
    return button
