"""Letters that lead from the cells of a table to the reasons under it."""


class Footnotes:
    """The notes of one table, lettered in the order in which they are asked for.

    Examples
    --------
    >>> notes = Footnotes()
    >>> notes("1 unit: no interval"), notes(""), notes("constant heatmap"), notes("1 unit: no interval")
    ('a', '', 'b', 'a')
    >>> notes.notes
    {'a': '1 unit: no interval', 'b': 'constant heatmap'}
    """

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}

    def __call__(self, reason: str) -> str:
        """The mark of a reason; "" where there is none."""
        if not reason:
            return ""
        marks = {text: mark for mark, text in self.notes.items()}
        mark = marks.get(reason) or _letter(len(self.notes))
        self.notes[mark] = reason
        return mark


def _letter(index: int) -> str:
    return chr(ord("a") + index % 26) * (1 + index // 26)
