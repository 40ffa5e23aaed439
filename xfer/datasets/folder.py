"""A folder with a sub-folder for each expression, as most people keep pictures."""

from collections.abc import Callable, Iterator

from xfer import labels
from xfer.datasets import DATASETS
from xfer.datasets.files import not_a_picture, require_folder, shown, split_name, walk
from xfer.datasets.listing import Listing, title
from xfer.datasets.objects import Place, Whole, listed
from xfer.datasets.samples import Dataset, Dropped
from xfer.datasets.stored import refusal
from xfer.errors import InputError

LAYOUT = "a folder with sub-folders such as angry/*.jpg, or train/angry/*.jpg and test/angry/*.jpg"


@DATASETS.register("folder", layout=LAYOUT, reference="none", licence="yours", urls=True)
def folder(path: Place, *, allow_outside: bool = False) -> Dataset:
    """Read a folder whose sub-folders name the expression and, if they like, the split.

    The other sub-folders on the way mean nothing; pictures on the top are unlabelled.

    Parameters
    ----------
    path : Path or str
    allow_outside : bool
        Follow links to files that lie outside the folder; a store has none.

    Raises
    ------
    InputError
        If the folder is missing or holds no picture.
    """
    listing = Listing()
    add_tree(listing, path if isinstance(path, str) else require_folder(path, LAYOUT), allow_outside)
    return listing.dataset(title("folder", path))


def add_tree(
    listing: Listing, root: Place, allow_outside: bool, subject: Callable[[str], str] = lambda name: ""
) -> None:
    """Enter every picture below a folder under the expression and split that its sub-folders name."""
    for name, found in _walk_store(root) if isinstance(root, str) else walk(root, allow_outside):
        folders = name.split("/")[:-1]
        splits = {s for f in folders if (s := split_name(f))}
        others = [f for f in folders if not split_name(f)]
        expressions = {e for f in others if (e := _expression(f))}
        if len(expressions) > 1 or len(splits) > 1:
            listing.drop(name, f"lies in folders of {' and '.join(sorted(splits if len(splits) > 1 else expressions))}")
            continue
        label = next(iter(expressions), None) or (shown(others[-1]) if others else None)
        listing.keep(name, found, label, what="folder", split=next(iter(splits), ""), subject=subject(name))


def _walk_store(url: str) -> Iterator[tuple[str, Whole | Dropped]]:
    """Every object below a URL, as `xfer.datasets.files.walk` tells every file below a folder, in the same order."""
    found = listed(url)
    for name in sorted(found, key=lambda name: [*((1, f) for f in name.split("/")[:-1]), (0, name)]):
        if not any(part.startswith(".") for part in name.split("/")):
            reason = not_a_picture(name) or refusal(found[name].size)
            yield name, Dropped(shown(name), reason) if reason else Whole(found[name])


def _expression(text: str) -> str | None:
    try:
        return labels.expression(text)
    except InputError:
        return None
