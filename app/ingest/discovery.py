"""(1) What a listing shows → the files that count, page by page, and every other object counted with its reason.

    split_source ──► open_store ──► Store.list ──► Sieve.reason ──► ListedPage

`Sieve` is pure: `explain` asks it the same question for one file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from app.errors import FileMissing, InvalidInput, SourceAccessDenied
from app.found_files import FoundFiles, ticks
from app.ingest.globs import has_glob, matcher
from app.schemas.ingestion import SourceShape
from app.storage import Store, parse_address
from app.values import FoundFile, ListedPage

# Reasons: stable words, counted in runs and shown to people.
REASONS = {
    "hidden": "its name, or a folder's below the source, begins with `_` or `.`",
    "own": "it lies in AUTOLOADER_HOME: keys, ledger and tables of the Autoloader itself",
    "excluded": "an exclude pattern matches",
    "not-included": "no include pattern matches",
    "too-old": "modified before the start point or `modified_after`",
    "too-new": "modified at or after `modified_before`",
    "too-young": "modified a moment ago: it may still be written; the next run looks again",
    "empty": "it has no bytes",
    "too-small": "smaller than `min_size`",
    "too-large": "larger than `max_size`",
    "symlink": "a link to a folder, or to nothing",
    "not-a-file": "a folder's marker, a pipe, a socket or a device",
    "unreadable": "it, or its folder, may not be read by this user: the run ends PARTIAL",
    "bad-name": "its name is not UTF-8, or has a NUL in it",
}

_HIDDEN = re.compile(r"(?:\A|/)[_.]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCKS_APART = timedelta(minutes=5)
_PATIENCE_SECONDS = 2.0  # what a run waits for files that are too young; a longer minimum age is for the next run
_MARGIN = timedelta(milliseconds=1)  # clocks tick differently
_PATIENCE_FILES = 10_000  # as many are held in memory


@dataclass(frozen=True, slots=True)
class DiscoveryRules:
    """Which objects of a source count. `url` is where to list from; `pattern` is what the address said beyond it."""

    url: str
    pattern: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    min_size: int | None = None
    max_size: int | None = None
    modified_after: datetime | None = None
    modified_before: datetime | None = None
    min_age_seconds: float = 0.0
    hidden: bool = False
    start: Literal["everything", "now"] | datetime = "everything"
    own: str = ""

    @classmethod
    def of(cls, source: SourceShape, *, local_min_age_seconds: float, own: str = "") -> DiscoveryRules:
        """The rules of an ingestion's source. `own` is a folder, relative to the source, that is no data.

        The minimum age, where the source has none of its own, is that of the settings for a folder, and zero for a
        store: there an object appears whole. Raises InvalidInput for an address or a pattern that cannot be.
        """
        url, pattern = split_source(source.url)
        age = source.min_age_seconds
        if age is None:
            age = local_min_age_seconds if parse_address(url).kind == "local" else 0.0
        rules = cls(
            url=url,
            pattern=pattern,
            include=source.include,
            exclude=source.exclude,
            min_size=source.min_size,
            max_size=source.max_size,
            modified_after=source.modified_after,
            modified_before=source.modified_before,
            min_age_seconds=age,
            hidden=source.hidden,
            start=source.start,
            own=own,
        )
        matcher(
            (*rules.include, *rules.exclude, *filter(None, [pattern]))
        )  # a bad pattern is refused now, not at a run
        return rules


def split_source(url: str) -> tuple[str, str]:
    """The longest part of an address without a glob, and the glob relative to it (empty when there is none).

    A file or folder of this machine that has the very name is taken by its name. `[*]` stands for a plain `*`.
    """
    scheme, found, rest = url.partition("://")
    if not has_glob(rest if found else url):
        return url, ""
    if not found and Path(url).expanduser().exists():
        return url, ""
    parts = (rest if found else url).split("/")
    first = next(at for at, part in enumerate(parts) if has_glob(part))
    if found and scheme != "file" and first == 0:
        message = f"{url!r} has a pattern in the name of its bucket."
        raise InvalidInput(message, hint="Name one bucket; make an ingestion for each.")
    folder = "/".join(parts[:first])
    if found:
        return f"{scheme}://{folder}", "/".join(parts[first:])
    return folder or ("/" if url.startswith("/") else "."), "/".join(parts[first:])


class Sieve:
    """The rules, compiled for one source at one moment. `base` is the store's: the address, no slash at its end."""

    def __init__(self, rules: DiscoveryRules, base: str, *, now: datetime, created_at: datetime | None = None) -> None:
        self._rules = rules
        self._base = base
        self._cut = len(base) if base.endswith("/") else len(base) + 1
        self._pattern = matcher((rules.pattern,)) if rules.pattern else None
        self._include = matcher(rules.include) if rules.include else None
        self._exclude = matcher(rules.exclude) if rules.exclude else None
        self._own = f"{rules.own}/" if rules.own else ""
        bounds = [bound for bound in (rules.modified_after, _start(rules, now, created_at)) if bound is not None]
        # Bounds of time in a listing's unit.
        self._oldest = ticks(max(bounds)) if bounds else None
        self._newest = ticks(rules.modified_before) if rules.modified_before is not None else None
        self._young = ticks(now - timedelta(seconds=rules.min_age_seconds)) if rules.min_age_seconds else None
        self._future = ticks(now + _CLOCKS_APART)

    def reason(self, info: FoundFile) -> str | None:
        """Why the object is left out; None when it counts."""
        return self._by_name(info.path) or self._by_time(ticks(info.modified_at)) or self._by_size(info.size)

    def reasons(self, page: FoundFiles) -> dict[int, str]:
        """The same for a page: place → reason, for those that are left out. A rule that no object of the page can
        break is asked once.
        """
        found: dict[int, str] = {}
        if self._names_matter(page.paths):
            _gather(found, map(self._by_name, page.paths))
        if self._times_matter(page.times):
            _gather(found, map(self._by_time, page.times))
        if page.sizes and (self._by_size(min(page.sizes)) or self._by_size(max(page.sizes))):
            _gather(found, map(self._by_size, page.sizes))
        return found

    def _names_matter(self, paths: Sequence[str]) -> bool:
        if self._exclude or self._pattern or self._include or self._own:
            return True
        if self._rules.hidden:
            return False
        # One search for the page: from the slash behind the base, so that only names below it are seen.
        return _HIDDEN.search("\n".join([path[self._cut - 1 :] for path in paths])) is not None

    def _times_matter(self, times: Sequence[int]) -> bool:
        if not times:
            return False
        latest = max(times)
        young = self._young is not None and latest > self._young
        return young or self._by_time(min(times)) is not None or self._by_time(latest) is not None

    def _by_name(self, path: str) -> str | None:
        named = path == self._base  # the source is this one file
        relative = path.rpartition("/")[2] if named else path[self._cut :]
        if not named and not self._rules.hidden and _HIDDEN.search(relative):
            return "hidden"
        if self._own and relative.startswith(self._own):
            return "own"
        if self._exclude and self._exclude(relative):
            return "excluded"
        if (self._pattern and not self._pattern(relative)) or (self._include and not self._include(relative)):
            return "not-included"
        return None

    def _by_time(self, modified: int) -> str | None:
        if self._oldest is not None and modified < self._oldest:
            return "too-old"
        if self._newest is not None and modified >= self._newest:
            return "too-new"
        # A time far ahead was set by somebody (an archive, a wrong clock): nobody writes there now, do not wait for it.
        if self._young is not None and self._young < modified < self._future:
            return "too-young"
        return None

    def _by_size(self, size: int) -> str | None:
        if size == 0:
            return "empty"
        if self._rules.min_size is not None and size < self._rules.min_size:
            return "too-small"
        if self._rules.max_size is not None and size > self._rules.max_size:
            return "too-large"
        return None


def discover(
    store: Store,
    rules: DiscoveryRules,
    *,
    now: datetime,
    created_at: datetime | None = None,
    wait: Callable[[datetime], datetime] | None = None,
) -> Iterator[ListedPage]:
    """List the source and sort out what does not count; one page of the listing is held at a time.

    `store` is opened at `rules.url`. `created_at` is when the ingestion was made, for the start point `now`.
    `wait` sleeps until a moment and answers the time it is then: with it, files of a folder that are too young by a
    moment only are looked at once more, behind the listing; without it they are left out.
    Raises SourceError's children as the listing does.
    """
    sieve = Sieve(rules, store.base, now=now, created_at=created_at)
    patient = wait is not None and store.kind == "local" and rules.min_age_seconds <= _PATIENCE_SECONDS
    room = _PATIENCE_FILES if patient else 0
    held: list[FoundFiles] = []
    left_out: Counter[str] = Counter()
    told: Counter[str] = Counter()
    for page in store.list(left_out=left_out):
        # Never emptied: threads of the listing count on while a page is worked on.
        fresh = Counter(left_out) - told
        told += fresh
        sifted, young = _sifted(page, sieve, fresh, room)
        if young:
            held.append(young)
            room -= len(young)
        yield sifted
    if fresh := left_out - told:
        yield ListedPage(files=(), seen=fresh.total(), skipped=dict(fresh))
    if held and wait is not None:
        age = timedelta(seconds=rules.min_age_seconds)
        newest = _EPOCH + timedelta(microseconds=max(max(young.times) for young in held))
        later = Sieve(rules, store.base, now=wait(min(newest, now + age) + age + _MARGIN), created_at=created_at)
        for young in held:  # page by page, so that the ledger is asked for no wider range than before
            yield replace(_sifted(_looked_up(store, young), later, Counter(), 0)[0], seen=0)


def explain(
    info: FoundFile, rules: DiscoveryRules, base: str, *, now: datetime, created_at: datetime | None = None
) -> str | None:
    """Why this file of the source is not loaded, as a word of REASONS; None when no rule is against it."""
    return Sieve(rules, base, now=now, created_at=created_at).reason(info)


def _sifted(page: FoundFiles, sieve: Sieve, left_out: Counter[str], room: int) -> tuple[ListedPage, FoundFiles | None]:
    """What counts of a page, and up to `room` files that are only too young: these are in no count yet."""
    reasons = sieve.reasons(page)
    files = page.take([at for at in range(len(page)) if at not in reasons]) if reasons else page
    empty = page.take([at for at, reason in reasons.items() if reason == "empty"])
    young = [at for at, reason in reasons.items() if reason == "too-young"][:room]
    counted = Counter(left_out) + Counter(reasons.values()) - Counter({"too-young": len(young)})
    sifted = ListedPage(
        files=files.in_order(),
        empty=empty.in_order(),
        seen=len(page) + left_out.total(),
        skipped=dict(counted),
        bytes=sum(files.sizes),
    )
    return sifted, page.take(young) if young else None


def _looked_up(store: Store, young: FoundFiles) -> FoundFiles:
    """The same files as they are now; without those that are gone, or that the next listing tells of."""
    found = FoundFiles()
    for path in young.paths:
        with suppress(FileMissing, SourceAccessDenied):
            found.append(store.stat(path))
    return found


def _gather(found: dict[int, str], reasons: Iterable[str | None]) -> None:
    """Add what these say to what earlier rules said of other objects; the first word counts."""
    for at, reason in enumerate(reasons):
        if reason is not None:
            found.setdefault(at, reason)


def _start(rules: DiscoveryRules, now: datetime, created_at: datetime | None) -> datetime | None:
    if rules.start == "everything":
        return None
    if rules.start == "now":
        # Stores know whole seconds only: what came in the same second, after the creation, must not be lost.
        return (created_at or now).replace(microsecond=0)
    return rules.start
