"""What a schedule may be: a cron line as a CronJob takes it, in a zone that exists."""

import re
from typing import Final
from zoneinfo import ZoneInfo

_MONTHS: Final = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_WEEKDAYS: Final = "sun|mon|tue|wed|thu|fri|sat"
_VALUES: Final = (
    "[0-5]?[0-9]",
    "[01]?[0-9]|2[0-3]",
    "0?[1-9]|[12][0-9]|3[01]",
    f"0?[1-9]|1[0-2]|(?i:{_MONTHS})",
    f"[0-6]|(?i:{_WEEKDAYS})",
)
"""What one value of minute, hour, day, month and weekday is."""
_MACROS: Final = "yearly|annually|monthly|weekly|daily|midnight|hourly|every ([0-9]+[hm])+"


def _field(value: str) -> str:
    part = rf"([*?]|({value})(-({value}))?)(/[1-9][0-9]?)?"
    return f"{part}(,{part})*"


CRON_LINE: Final = f"^(|@({_MACROS})|{' +'.join(map(_field, _VALUES))})$"
"""Regular expression of a schedule, none included; no look-around, so that CEL takes it too."""
CRON_RULE: Final = 'a schedule is "", a macro such as @daily, or five cron fields, as "0 2 * * *"'


def checked_schedule(line: str) -> str:
    """The line itself.

    Raises:
        ValueError: It is no cron line.
    """
    if not re.fullmatch(CRON_LINE, line):
        raise ValueError(CRON_RULE)
    return line


def checked_zone(name: str) -> str:
    """The name itself.

    Raises:
        ValueError: No zone has this name.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("a time zone has an IANA name, such as Europe/Rome or Etc/UTC") from None
    return name
