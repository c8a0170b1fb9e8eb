"""What a run leaves in Prefect's UI for a person: a table of its files, and a summary that says where to look on.

Bounded, and without secrets: Prefect shows artifacts to everybody who may see the flow run.
"""

from __future__ import annotations

from uuid import UUID

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger

from app.log import one_line, redact
from app.services import open_runs
from app.services.run_view_service import RunFile, RunView, RunViewService

MOST_FILES = 100


def publish_artifacts(run_id: str) -> None:
    """Store both artifacts of a run. What fails here is told in the log: the run has ended as it has ended."""
    try:
        run = open_runs.find(UUID(run_id))
        ingestion_id = run.ctx.ingestion.id
        views = RunViewService(run.steps.database, run.ctx.ingestion.tenant_id)
        view, files = views.show(run_id), views.files(UUID(run_id), MOST_FILES)
        create_markdown_artifact(summary(view, len(files)), key=f"summary-{ingestion_id}", description=_title(view))
        if files:
            create_table_artifact([_row(file) for file in files], key=f"files-{ingestion_id}", description=_title(view))
    except Exception as error:  # noqa: BLE001 - whatever a server or the ledger says to that
        get_run_logger().warning("The run's artifacts were not stored: %s", one_line(redact(str(error))))


def summary(view: RunView, shown: int) -> str:
    """The run in Markdown: what it came to, what went wrong, and the commands that tell more."""
    files, found = view.metrics.get("files", {}), view.metrics.get("discovered", {})
    figures = {
        "new files found": found.get("new"),
        "files loaded": files.get("loaded"),
        "files not loaded": sum(count for word, count in files.items() if word != "loaded"),
        "files waiting": view.metrics.get("waiting"),
        "rows": view.metrics.get("rows"),
        "rows with rescued values": view.metrics.get("rescued"),
        "rejected records": view.metrics.get("rejected"),
        "snapshots": len(view.metrics.get("snapshots", [])),
    }
    lines = [f"# {_text(view.ingestion)}: {view.state}", "", f"Into `{view.table}`, trigger {view.trigger}.", ""]
    if view.error:
        lines += [f"**{view.error_code}**: {_text(view.error)}", ""]
    lines += [line for note in view.metrics.get("notes", ()) for line in (_text(note), "")]
    lines += ["| | |", "|---|---:|"]
    lines += [f"| {name} | {count:,} |" for name, count in figures.items() if count is not None]
    lines += ["", *_where_to_look(view, shown)]
    return "\n".join(lines)


def _where_to_look(view: RunView, shown: int) -> list[str]:
    commands = [f"autoloader runs show {view.id}", f"autoloader table show {view.table}"]
    if view.not_loaded:
        commands.append(f"autoloader files show {view.not_loaded[0].id}")
    more = f" The table of files beside this shows {shown}, those that were not loaded first." if shown else ""
    return [f"What happened to each file:{more}", "", "```", *commands, "```"]


def _title(view: RunView) -> str:
    return f"Run {view.id} of {_text(view.ingestion)}: {view.state}"


def _row(file: RunFile) -> dict[str, object]:
    return {
        "path": one_line(redact(file.path)),
        "state": file.state,
        "rows": file.rows,
        "rescued": file.rescued,
        "rejected": file.rejected,
        "reason": file.reason or "",
    }


def _text(text: str) -> str:
    """A stranger's text inside Markdown."""
    return one_line(redact(text)).replace("|", "\\|").replace("`", "'").replace("<", "&lt;")
