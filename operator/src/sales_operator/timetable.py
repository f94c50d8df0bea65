"""When a CronJob will next fire, reckoned as Kubernetes does."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS: Final = 5
_STEPS: Final = re.compile(r"\*/(?!1\b)")
_OPEN_STEPS: Final = re.compile(r"\b(?<!-)(\w+)/")
_DAYS: Final = ((2, "1-31/"), (4, "0-6/"))


def next_time(schedule: str, time_zone: str, now: datetime) -> datetime | None:
    """The next moment after `now`, in UTC.

    As Kubernetes does, a time of day that a change of clocks leaves out is passed over, and one
    that comes twice counts twice.

    Returns:
        None where there is no such moment, or the line or the zone is not understood (the API
        server tells what is wrong with it), or only the CronJob knows (`@every`).
    """
    try:
        zone = ZoneInfo(time_zone)
        moments = _moments(_plain(schedule), zone, now.astimezone(zone))
        found = min(moments, default=None)
    except (CronSimError, ValueError, KeyError, OSError):
        return None
    return found


def _plain(schedule: str) -> str:
    """The line in the words of the library, which reads some of them otherwise."""
    line = _MACROS.get(schedule.strip(), schedule).replace("?", "*")
    fields = line.split()
    if len(fields) != _FIELDS:
        raise CronSimError("not five fields")
    for at, whole in _DAYS:
        # To the library */2 is a star: both days must then fit; to Kubernetes it is a list, and
        # one of both is enough.
        fields[at] = _STEPS.sub(whole, fields[at])
    # The library has two Sundays, 0 and 7; to Kubernetes a week ends on a Saturday.
    fields[4] = _OPEN_STEPS.sub(r"\1-6/", fields[4])
    return " ".join(fields)


def _moments(line: str, zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    """Some moments after now, the next one among them."""
    later = now.astimezone(UTC) + timedelta(days=1)
    set_back = (now.utcoffset() or timedelta()) - (
        later.astimezone(zone).utcoffset() or timedelta()
    )
    wall = now.replace(tzinfo=None) - max(set_back, timedelta())
    for time in CronSim(line, wall):
        first, second = (_instant(time, zone, fold) for fold in (0, 1))
        yield from (moment for moment in (first, second) if moment and moment > now)
        if first and first > now:
            return


def _instant(time: datetime, zone: ZoneInfo, fold: int) -> datetime | None:
    """When clocks in a zone show a time, the first or the second time; None if they never do."""
    moment = time.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    return moment if moment.astimezone(zone).replace(tzinfo=None, fold=0) == time else None
