"""What a schedule does when clocks change is what Prefect's server makes of it; where that surprises, it is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.schemas.ingestion import ScheduleShape
from app.services import prefect_schedules
from app.services.deployment_spec import schedule_spec
from app.services.schedule_service import clock_changes, next_fires, schedule_warnings

AUTUMN = datetime(2026, 9, 1, tzinfo=UTC)
ZONES = ["America/New_York", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe"]


def cron(line: str, zone: str) -> ScheduleShape:
    return ScheduleShape(cron=line, timezone=zone)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("line", ["*/30 * * * *", "0 * * * *", "30 2 * * *", "0 9 * * *", "15 0 * * *"])
def test_the_next_moments_are_those_that_the_server_plans_across_each_change(zone, line):
    from prefect.server.schemas.schedules import CronSchedule

    schedule = CronSchedule(cron=line, timezone=zone)
    for change in clock_changes(ZoneInfo(zone), AUTUMN, AUTUMN + timedelta(days=366)):
        start = change - timedelta(hours=3)
        planned = [*schedule._get_dates_generator(n=3, start=start)]
        told = next_fires(cron(line, zone), 3, since=start)

        assert [one.timestamp() for one in told[:1]] == [one.timestamp() for one in planned[:1]]
        assert {one.timestamp() for one in planned} <= {
            one.timestamp() for one in next_fires(cron(line, zone), 12, since=start)
        }


@pytest.mark.parametrize("zone", ZONES)
def test_each_zone_changes_its_clocks_twice_a_year(zone):
    assert len(list(clock_changes(ZoneInfo(zone), AUTUMN, AUTUMN + timedelta(days=366)))) == 2


WINTER = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "zone", "since", "told"),
    [
        (
            "*/30 * * * *",
            "America/New_York",
            AUTUMN,
            "on 2026-11-01, it does not run at 11-01 01:00 -0500, 11-01 01:30 -0500 and pauses for 90 minutes",
        ),
        (
            "30 2 * * *",
            "America/New_York",
            AUTUMN,
            "on 2027-03-14, it does not run at 03-14 03:00 -0400 and runs at 03-14 01:30 -0500 instead",
        ),
        (
            "0 * * * *",
            "Europe/Berlin",
            AUTUMN,
            "on 2026-10-25, it does not run at 10-25 02:00 +0100 and pauses for 120 minutes at the longest",
        ),
        (
            "15 0 * * *",
            "America/Santiago",
            WINTER,
            "on 2027-09-05, it does not run at 09-05 01:00 -0300 and runs at 09-04 23:15 -0400 instead",
        ),
        (
            "*/30 * * * *",
            "Australia/Lord_Howe",
            WINTER,
            "on 2027-04-04, it does not run at 04-04 01:30 +1030 and pauses for 60 minutes at the longest",
        ),
    ],
)
def test_a_surprise_is_told_with_its_day_and_its_times(line, zone, since, told):
    warnings = schedule_warnings(cron(line, zone), since=since)

    assert any(f"When clocks change in {zone} {told}" in sentence for sentence in warnings)
    assert all(sentence.endswith(" The next run takes all files.") for sentence in warnings)


@pytest.mark.parametrize(
    "shape",
    [
        cron("0 9 * * *", "America/New_York"),
        cron("*/5 * * * *", "UTC"),
        cron("30 2 * * *", "Asia/Kolkata"),
        ScheduleShape(interval_seconds=1800),
        ScheduleShape(rrule="FREQ=DAILY;BYHOUR=9", timezone="Europe/Berlin"),
    ],
    ids=lambda shape: f"{shape.cron or shape.rrule or shape.interval_seconds} {shape.timezone}",
)
def test_where_nothing_surprises_nothing_is_told(shape):
    assert schedule_warnings(shape, since=AUTUMN) == []


def test_a_rule_for_every_hour_is_told_to_follow_the_wall():
    shape = ScheduleShape(rrule="FREQ=HOURLY", timezone="Europe/Berlin")

    (told,) = schedule_warnings(shape, since=AUTUMN)

    assert told.startswith("Prefect counts this rule on the wall clock of Europe/Berlin:")
    assert told.endswith("For an even pace use interval_seconds.")


def test_intervals_keep_their_pace_and_their_beginning():
    created = datetime(2026, 3, 1, 12, 0, 7, 5, tzinfo=UTC)
    spec = schedule_spec(ScheduleShape(interval_seconds=600), created)
    start = created + timedelta(days=30)

    moments = list(prefect_schedules.fires(spec, start, start + timedelta(minutes=25)))

    assert [moment.strftime("%H:%M:%S.%f") for moment in moments] == ["12:10:07.000000", "12:20:07.000000"]
