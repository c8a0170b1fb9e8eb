"""When Prefect's scheduler runs a schedule, by its own code: nothing else knows what it makes of a change of clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from app.services.deployment_spec import ScheduleSpec

# The defaults of PREFECT_SERVER_SERVICES_SCHEDULER_MIN_RUNS, MAX_RUNS, MIN_SCHEDULED_TIME, MAX_SCHEDULED_TIME and
# LOOP_SECONDS.
_MIN_RUNS, _MAX_RUNS = 3, 100
_AHEAD, _FARTHEST = timedelta(hours=1), timedelta(days=100)
_LOOP = timedelta(minutes=1)


def fires(spec: ScheduleSpec, start: datetime, end: datetime) -> Iterator[datetime]:
    """The moments from `start` to `end`, in order, at which runs begin that the scheduler plans, again and again.

    It plans a few runs ahead, and what it planned of a cron line before clocks change stays beside what it plans after.
    """
    schedule = _schedule(spec)
    if spec.kind != "cron":  # the same whenever it is planned
        yield from _moments(schedule, start, end)
        return
    now, last, planned = start, start - _LOOP, set[datetime]()
    while now <= end:
        # Around a change it plans moments that have passed as well: those have their run already.
        planned |= {moment for moment in _plan(schedule, now) if moment > last}
        ahead = sorted(planned)
        if not ahead:
            return
        # It plans anew when fewer than three are left, or the last is less than an hour ahead.
        then = max(min(ahead[-_MIN_RUNS] if len(ahead) >= _MIN_RUNS else ahead[0], ahead[-1] - _AHEAD), now) + _LOOP
        for last in (moment for moment in ahead if moment < then):
            if last > end:
                return
            yield last
        planned, now = {moment for moment in planned if moment >= then}, then


def _moments(schedule: Any, start: datetime, end: datetime) -> Iterator[datetime]:
    for date in schedule._get_dates_generator(start=start, end=end):  # noqa: SLF001 - the scheduler's own way
        yield _utc(date)


def _plan(schedule: Any, now: datetime) -> set[datetime]:
    """One round of the scheduler, as `_generate_scheduled_flow_runs` of Prefect's server does it."""
    found: set[datetime] = set()
    dates = schedule._get_dates_generator(n=_MAX_RUNS, start=now, end=now + _FARTHEST)  # noqa: SLF001 - as above
    for moment in map(_utc, dates):
        found.add(moment)
        if len(found) >= _MIN_RUNS and moment >= now + _AHEAD:
            break
    return found


def _utc(date: datetime) -> datetime:
    return datetime.fromtimestamp(date.timestamp(), UTC)


def _schedule(spec: ScheduleSpec) -> Any:
    from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule

    if spec.kind == "cron":
        return CronSchedule(cron=spec.value, timezone=spec.timezone)
    if spec.kind == "rrule":
        return RRuleSchedule(rrule=spec.value, timezone=spec.timezone)
    interval = timedelta(seconds=float(spec.value))
    return IntervalSchedule(interval=interval, anchor_date=spec.anchor, timezone=spec.timezone)
