"""When an ingestion runs next, and what its schedule does when clocks change: told before anybody is surprised."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from app.schemas.ingestion import ScheduleShape
from app.services import prefect_schedules
from app.services.deployment_spec import ScheduleSpec, schedule_spec

_YEAR = timedelta(days=366)
_LEAST, _MOST = timedelta(hours=6), timedelta(days=8)  # what is compared on each side of a change of clocks
_FAR = timedelta(days=366 * 5)  # as far as the next runs are looked for
_BUSY = re.compile(r"FREQ=(SECONDLY|MINUTELY|HOURLY)")
_TOLD = 3  # moments named in one sentence


def next_fires(
    shape: ScheduleShape, count: int = 5, *, since: datetime | None = None, created_at: datetime | None = None
) -> list[datetime]:
    """The moments after `since` (now) at which Prefect starts it, in the schedule's zone.

    Intervals are counted from `created_at`, else from `since`.
    """
    now = since or datetime.now(UTC)
    moments = islice(prefect_schedules.fires(schedule_spec(shape, created_at or now), now, now + _FAR), count)
    return [moment.astimezone(ZoneInfo(shape.timezone)) for moment in moments]


def warnings_of(shape: ScheduleShape) -> tuple[str, ...]:
    """`schedule_warnings` as of today, looked for once a day: many readers ask."""
    return _warnings_on(shape, datetime.now(UTC).date())


@lru_cache(maxsize=1024)
def _warnings_on(shape: ScheduleShape, today: date) -> tuple[str, ...]:
    return tuple(schedule_warnings(shape, since=datetime.combine(today, time(), UTC)))


def schedule_warnings(shape: ScheduleShape, *, since: datetime | None = None) -> list[str]:
    """Sentences about the next year's changes of clocks at which Prefect runs it otherwise than its line says.

    Empty for intervals (they are counted in UTC), and where the zone changes no clocks.
    """
    if shape.interval_seconds is not None:
        return []
    now = since or datetime.now(UTC)
    zone, spec = ZoneInfo(shape.timezone), schedule_spec(shape, now)
    changes = list(clock_changes(zone, now, now + _YEAR))
    if changes and shape.rrule is not None and _BUSY.search(shape.rrule.upper()):
        told = f"Prefect counts this rule on the wall clock of {shape.timezone}: what comes twice when clocks go back"
        return [f"{told} it runs once. For an even pace use interval_seconds."]
    found = (_warning(spec, zone, change) for change in changes)
    return [sentence for sentence in found if sentence]


def clock_changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The moments in UTC from which the zone has another offset, to the minute."""
    step = timedelta(hours=6)
    before = start.astimezone(UTC).replace(second=0, microsecond=0)
    while before < end:
        after = before + step
        if _offset(zone, before) != _offset(zone, after):
            low, high = before, after
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) // timedelta(minutes=2) * timedelta(minutes=1)
                low, high = (middle, high) if _offset(zone, middle) == _offset(zone, low) else (low, middle)
            yield high
        before = after


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()


def _warning(spec: ScheduleSpec, zone: ZoneInfo, change: datetime) -> str:
    around = _around(spec, zone, change)
    start, end = change - around, change + around
    meant = list(_meant(spec, zone, start, end))
    real = [moment for moment in prefect_schedules.fires(spec, start, end) if moment > start]
    missing, extra = sorted(set(meant) - set(real)), sorted(set(real) - set(meant))
    if not missing and not extra:
        return ""
    parts = []
    if missing:
        parts.append(f"does not run at {_told(missing, zone)}")
    if extra:
        parts.append(f"runs at {_told(extra, zone)} instead" if missing else f"runs also at {_told(extra, zone)}")
    pause, usual = _longest(real), _longest(meant)
    if pause > usual:
        parts.append(f"pauses for {pause.total_seconds() / 60:.0f} minutes at the longest")
    day = change.astimezone(zone)
    return (
        f"When clocks change in {zone.key} on {day:%Y-%m-%d}, it {' and '.join(parts)}. The next run takes all files."
    )


def _around(spec: ScheduleSpec, zone: ZoneInfo, change: datetime) -> timedelta:
    """So long that a few runs lie on each side, as many as the scheduler plans ahead."""
    few = list(islice(_meant(spec, zone, change, change + _MOST), 4))
    span = (few[-1] - few[0]) if len(few) > 1 else _MOST
    return min(max(_LEAST, 4 * span / 3), _MOST)


def _meant(spec: ScheduleSpec, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """What the line says by the clock on the wall: a time that is skipped runs right after it, one that comes twice
    once (but a line for every hour or minute runs through both).
    """
    local = start.astimezone(zone)
    if spec.kind == "cron":
        from cronsim import CronSim

        moments: Iterable[datetime] = (moment.astimezone(UTC) for moment in CronSim(spec.value, local))
    else:
        from dateutil.rrule import rrulestr

        rule = rrulestr(spec.value, dtstart=datetime(2020, 1, 1))  # noqa: DTZ001 - Prefect's beginning, on the wall
        naive = rule.xafter(local.replace(tzinfo=None), inc=True)
        moments = (moment.replace(tzinfo=zone).astimezone(UTC) for moment in naive)
    for moment in moments:
        if moment > end:
            return
        if moment > start:
            yield moment


def _told(moments: list[datetime], zone: ZoneInfo) -> str:
    shown = [f"{moment.astimezone(zone):%m-%d %H:%M %z}" for moment in moments[:_TOLD]]
    more = len(moments) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _longest(moments: list[datetime]) -> timedelta:
    return max((later - earlier for earlier, later in pairwise(moments)), default=timedelta(0))
