"""Why the ledger does not know a file: which rule leaves it out, or that the next run will load it."""

from __future__ import annotations

from dataclasses import dataclass

from app.config import Settings
from app.database import Database
from app.errors import AutoloaderError, FileMissing, InvalidInput
from app.ingest import discovery
from app.ingest.ports import Clock, SystemClock
from app.models import DEFAULT_TENANT
from app.services import file_names, sources
from app.services.context import IngestionInfo
from app.services.ingestion_service import IngestionService
from app.storage import join, parse_address
from app.values import FoundFile

NEXT_RUN = "next-run"
MISSING = "missing"
UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one ingestion has to say about a file that is not in its ledger.

    `reason` is a word of discovery's REASONS, or `next-run`, `missing`, `unreachable`.
    """

    ingestion: str
    path: str
    reason: str
    sentence: str


class ExplainService:
    def __init__(
        self, database: Database, settings: Settings, clock: Clock | None = None, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock or SystemClock()
        self.ingestions = IngestionService(database, settings, tenant_id=tenant_id)

    def explain(self, file: str, ingestion: str | None = None) -> list[Explanation]:
        """One answer for each ingestion whose source covers the path; of a bare name, for each that has such a file."""
        names = [ingestion] if ingestion else self.ingestions.names()
        found = [self._explained(file, self.ingestions.find(name)) for name in names]
        answers = [answer for answer in found if answer is not None]
        there = [answer for answer in answers if answer.reason != MISSING]
        return there or answers

    def _explained(self, file: str, ingestion: IngestionInfo) -> Explanation | None:
        rules = sources.rules_of(self.settings, ingestion.shape.source)
        base = parse_address(rules.url).base
        path, certain = _below(file, base)
        if path is None:
            return None
        try:
            store = sources.store_of(self.database, self.settings, ingestion.shape.source, ingestion.tenant_id)
            info = store.stat(path)
        except FileMissing:
            sentence = f"There is no such file below {base}."
            return Explanation(ingestion.name, path, MISSING, sentence) if certain else None
        except AutoloaderError as error:
            return Explanation(ingestion.name, path, UNREACHABLE, str(error))
        return self._judged(ingestion, rules, base, info)

    def _judged(
        self, ingestion: IngestionInfo, rules: discovery.DiscoveryRules, base: str, info: FoundFile
    ) -> Explanation:
        if not file_names.is_text(info.path):
            sentence = f"Left out of {ingestion.name}: {discovery.REASONS['bad-name']}."
            return Explanation(ingestion.name, info.path, "bad-name", sentence)
        reason = discovery.explain(info, rules, base, now=self.clock.now(), created_at=ingestion.created_at)
        if reason is not None:
            sentence = f"Left out of {ingestion.name}: {discovery.REASONS[reason]}."
            return Explanation(ingestion.name, info.path, reason, sentence)
        sentence = f"The next run of {ingestion.name} will load it."
        if ingestion.paused:
            sentence = f"{ingestion.name} is paused; its next run after that will load it."
        return Explanation(ingestion.name, info.path, NEXT_RUN, sentence)


def _below(file: str, base: str) -> tuple[str | None, bool]:
    """The full address the text means in a source, and whether it named the source itself; None when it is elsewhere.

    A text without a scheme and not absolute is tried as a name below the source.
    """
    if "://" in file or file.startswith(("/", "~")):
        try:
            path = parse_address(file).base
        except InvalidInput:
            return None, False
        covered = path == base or path.startswith(base.rstrip("/") + "/")
        return (path, True) if covered else (None, False)
    here = parse_address(file).base if not base.partition("://")[1] else ""
    if here.startswith(base.rstrip("/") + "/"):
        return here, True
    return join(base, file), False
