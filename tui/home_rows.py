"""The rows of Home's list, made from an overview."""

import time
from collections.abc import Sequence

from trainer.run.status import Glance
from trainer.text import printable
from tui.overview import Overview, ProjectLook, run_facts
from tui.widgets.rows import Row
from tui.words import ARROWS, age_text, direction, left_text, loss_text, status_word, step_text, table

RUN, PROJECT = "run:", "project:"
"""What the ids of the rows begin with; a path follows. A chosen run stays chosen when it ends."""
HEADING = "bold $primary"


def rows_of(overview: Overview, width: int, wanted: str = "") -> list[Row]:
    """Return headings and rows, those that match only.

    Args:
        overview: What there is.
        width: Cells of a row.
        wanted: Part of a name, in any case; empty for all.
    """
    wanted = wanted.casefold().strip()
    live = [look for look in overview.live if wanted in look.folder.title.casefold()]
    projects = [look for look in overview.projects if wanted in look.name.casefold()]
    earlier = [look for look in overview.earlier if wanted in look.folder.title.casefold()]
    rows = [
        *_section("Running", RUN, [str(x.folder.path) for x in live], [_live(x) for x in live], width),
        *_section("Projects", PROJECT, [str(x.root) for x in projects], [_project(x) for x in projects], width),
        *_section("Earlier runs", RUN, [str(x.folder.path) for x in earlier], [_run(x) for x in earlier], width),
    ]
    if overview.num_older and not wanted:
        rows.append(Row("", f"  and {overview.num_older:,} older ones: hypernet runs --all", "$text-muted"))
    if wanted and not rows:
        rows.append(Row("", "Nothing here has that in its name.", "$text-muted"))
    return rows[1:] if rows and not rows[0].text else rows


def _section(title: str, kind: str, keys: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[Row]:
    if not cells:
        return []
    lines = table(cells, width)
    return [Row("", ""), Row("", title, HEADING), *(Row(kind + k, line) for k, line in zip(keys, lines, strict=True))]


def _live(look: Glance) -> tuple[str, ...]:
    state = look.state
    loss = f"loss {loss_text(state.smoothed_loss)} {ARROWS[direction(state.points)]}" if state.points else ""
    return _name(look), status_word(look.status), step_text(state), left_text(state), loss.rstrip()


def _project(look: ProjectLook) -> tuple[str, ...]:
    return look.name, look.state, look.facts, look.next


def _run(look: Glance) -> tuple[str, ...]:
    age = "" if look.state.last_t is None else age_text(max(0.0, time.time() - look.state.last_t))
    return _name(look), status_word(look.status), run_facts(look), age


def _name(look: Glance) -> str:
    folder = look.folder
    project, name = printable(folder.project_root.name, 60), printable(folder.name, 60)
    return name if name == project or name.startswith(f"{project}-") else f"{project}/{name}"
