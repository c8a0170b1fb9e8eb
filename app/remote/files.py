"""Files of a server's ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.errors import NotFound
from app.remote.http import LONG, Server
from app.remote.ingestions import RemoteIngestions
from app.services import file_service
from app.services.explain_service import Explanation
from app.services.file_service import Moved
from app.services.file_view import FileView

_LONGEST = 2048  # characters of a name


class RemoteFiles:
    """As `FileService`. Raises as it does, and as `Server` does."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.ingestions = RemoteIngestions(server)

    def listed(
        self,
        ingestion: str | None = None,
        states: Sequence[str] = (),
        path_like: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[FileView]:
        """In order of discovery, beginning after the file with id `after`. Raises NotFound for the ingestion."""
        wanted: dict[str, Any] = {"state": list(states), "path_contains": path_like, **self._of(ingestion)}
        found: list[FileView] = []
        while len(found) < limit:
            begin = {"cursor": str(after)} if after > 0 else {}
            page = self.server.get(
                "/v1/ledger", {**wanted, "limit": min(200, limit - len(found)), **begin}, seconds=LONG
            )
            found += self.server.read(list[FileView], page.get("items"))
            if page.get("next_cursor") is None:
                break
            after = found[-1].id
        return found

    def where(self, file: str, ingestion: str | None) -> tuple[list[FileView], list[Explanation]]:
        """The versions that an id, a full path or the end of a path names, or why the ledger has none."""
        wanted = self._of(ingestion)
        if not 0 < len(file) <= _LONGEST or "\x00" in file:
            return [], []
        found = self.server.get("/v1/where", {"name": file, **wanted}, seconds=LONG)
        files = self.server.read(list[FileView], found.get("files"))
        return files, self.server.read(list[Explanation], found.get("explanations"))

    def require_known(self, names: Sequence[str], ingestion: str | None = None) -> None:
        """Raise NotFound for a name that no file has."""
        for name in names:
            if not self.where(name, ingestion)[0]:
                raise file_service.unknown(name)

    def retry(self, names: Sequence[str], ingestion: str | None = None) -> Moved:
        """The files wait for the next run again. Raises NotFound, IllegalTransition, LeaseHeld; then none is moved."""
        return self._named("retry", names, ingestion)

    def skip(self, names: Sequence[str], ingestion: str | None = None) -> Moved:
        """The files are left out from now on."""
        return self._named("skip", names, ingestion)

    def forget(self, names: Sequence[str], ingestion: str | None = None) -> Moved:
        """Take files that were never loaded out of the ledger."""
        return self._named("forget", names, ingestion)

    def retry_all(self, ingestion: str, states: Sequence[str]) -> Moved:
        """Every file of the ingestion in one of these states waits again. Raises IllegalTransition for other states."""
        file_service.require_retriable(states)
        wanted = {"filter": {**self._of(ingestion), "states": list(dict.fromkeys(states))}}
        count, files = 0, list[FileView]()
        while True:
            answer = self.server.post("/v1/files/retry", wanted, safe=True, seconds=LONG)
            count += answer["moved"]
            files += self._files(answer)
            if not answer["more"]:
                return Moved(count, tuple(files[:100]), dict(answer.get("left") or {}))

    def _named(self, act: str, names: Sequence[str], ingestion: str | None) -> Moved:
        wanted = {"names": list(names), **self._of(ingestion)}
        for name in names:
            if not 0 < len(name) <= _LONGEST or "\x00" in name:
                raise NotFound(f"The ledger knows no file {name!r}.", hint="See: autoloader files list")
        answer = self.server.post(f"/v1/files/{act}", {"named": wanted}, seconds=LONG)
        return Moved(answer["moved"], tuple(self._files(answer)))

    def _files(self, answer: dict[str, Any]) -> list[FileView]:
        return self.server.read(list[FileView], answer.get("files"))

    def _of(self, ingestion: str | None) -> dict[str, str]:
        found = self.ingestions.id_of(ingestion)
        return {"ingestion_id": str(found)} if found is not None else {}
