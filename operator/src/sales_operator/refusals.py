"""Whether the object store's events are refused for their token, and when that is told.

Whoever shows a wrong token may be the object store, or a stranger who posts what it would post.
So a condition says it only after this:

- NetworkPolicies of the charts let in the object store, and who scrapes metrics.
- What is refused looks like an event, and is for an ingest.
- It goes on for `_LONG`, and no replica lets an event in meanwhile. The object store's queue
  repeats what is refused every three seconds. A rollout, in which replicas have the old token and
  the new one, is over sooner, and some of them let events in.
- It was not told within `_PAUSE`. So whoever posts day and night changes a status twice in that
  time and adds a line to the log, and that only while the object store has nothing to tell.

An event that is let in ends it at once, whichever replica hears it. A stranger can neither cause
that nor hide it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from sales_operator.observed import Problem

_LONG: Final = timedelta(minutes=2)
_GAP: Final = timedelta(seconds=30)
"""Refusals further apart have nothing to do with one another: the object store repeats sooner."""
_PAUSE: Final = timedelta(minutes=10)

TOKEN_REFUSED: Final = Problem(
    "TokenRefused",
    "the receiver refuses the object store's events: their token is not its own. They wait in the "
    "object store's queue, and objects are found by the resync. Give both one token: with Vault at "
    "webhook.vaultPath of the chart minio and events.vaultPath of the chart operator, else as "
    "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SALES and ..._SALESNOW in the Secret config.existingSecret, "
    "and as `token` in the Secret events.existingSecret. Then restart the object store and, with "
    "Vault, the operator (docs/rotation.md, What is read at a start)",
    is_lasting=True,
)


@dataclass(frozen=True)
class Span:
    """From the first to the last of refusals that follow one another."""

    since: datetime
    until: datetime

    @property
    def is_long(self) -> bool:
        """Whether it is worth telling."""
        return self.until - self.since >= _LONG

    def __str__(self) -> str:
        return f"{self.since.isoformat()}/{self.until.isoformat()}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """What `str` made of one; None for anything else, as anybody may write an annotation."""
        since, _, until = text.partition("/")
        try:
            found = cls(datetime.fromisoformat(since), datetime.fromisoformat(until))
        except ValueError:
            return None
        return found if found.since.tzinfo and found.until.tzinfo else None


class Streak:
    """Refusals as one replica hears them."""

    def __init__(self) -> None:
        self._span: Span | None = None

    def ends(self) -> None:
        """An event was let in."""
        self._span = None

    def goes_on(self, now: datetime) -> Span | None:
        """An event was refused. Gives all of the streak once that is long."""
        before = self._span
        is_new = before is None or now - before.until > _GAP
        self._span = Span(now if before is None or is_new else before.since, now)
        return self._span if self._span.is_long else None


class Standing:
    """What the leader knows from all replicas.

    After a start it is what the statuses tell, until an event is heard or refused for long.
    """

    def __init__(self) -> None:
        self._is_refused: bool | None = None
        self._admitted_at: datetime | None = None
        self._ended_at: datetime | None = None

    def refused(self, span: Span, now: datetime) -> bool:
        """A replica tells of refusals; tells whether that is news."""
        # Where others let events in meanwhile, it is a rollout, or a stranger.
        since = max(span.since, self._admitted_at or span.since)
        is_too_soon = self._ended_at is not None and now - self._ended_at < _PAUSE
        if self._is_refused or is_too_soon or not Span(since, span.until).is_long:
            return False
        self._is_refused = True
        return True

    def admitted(self, now: datetime) -> bool:
        """A replica has let an event in; tells whether that may be news."""
        self._admitted_at = now
        if self._is_refused is False:
            return False
        if self._is_refused:
            self._ended_at = now
        self._is_refused = False
        return True

    def problem(self, told: str) -> Problem | None:
        """What is to be said of events now.

        Args:
            told: The reason that EventsReady has in the status of an ingest.
        """
        was_told = told == TOKEN_REFUSED.reason
        is_refused = was_told if self._is_refused is None else self._is_refused
        return TOKEN_REFUSED if is_refused else None
