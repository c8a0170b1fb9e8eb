"""`autoloader docs`: the pages of this version, where there is no checkout and no network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import Json
from app.cli.output import Output
from app.errors import NotFound

_PACKAGE = Path(__file__).parents[1]

Page = Annotated[
    str | None, typer.Argument(metavar="PAGE", help="Such as quickstart or reference/ingestion; without it, all names.")
]


def docs(page: Page = None, as_json: Json = False) -> None:
    """Print a page of the documentation of this version, as Markdown; without PAGE, list them.

    Example: autoloader docs quickstart
    """
    out = Output(as_json)
    folder = pages_folder()
    names = sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.md"))
    if page is None:
        out.answer({"pages": names}, lambda: out.document("".join(f"{name}\n" for name in names)))
        return
    wanted = page.removeprefix("docs/").removesuffix(".md")
    if wanted not in names:
        raise NotFound(f"There is no page {page!r}.", hint="See their names: autoloader docs")
    text = (folder / f"{wanted}.md").read_text(encoding="utf-8")
    out.answer({"page": wanted, "markdown": text}, lambda: out.document(text))


def pages_folder() -> Path:
    """Where the pages stand: inside an installed package, or at the top of a checkout."""
    packaged = _PACKAGE / "_pages"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "docs"
