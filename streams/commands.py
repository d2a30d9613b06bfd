"""What operators ask of a collector: kept in the database, so that it reaches one on any machine."""

from dataclasses import dataclass
from typing import Literal

from streams.models import CollectorCommand

Action = Literal["retry", "reconnect"]

FRESH_MS = 60_000  # a collector that was away for longer has connected anew since, and is not asked any more
KEPT_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Asked:
    """The last thing that was asked of a collector, and what became of it: "waiting", "taken" or "missed"."""

    action: str
    actor: str
    asked_ms: int
    taken_ms: int | None
    state: Literal["waiting", "taken", "missed"]


def command_ask(collector: str, action: Action, actor: str, now_ms: int) -> None:
    CollectorCommand.objects.create(collector=collector, action=action, actor=actor[:150], asked_ms=now_ms)


def commands_take(collector: str, now_ms: int) -> list[Action]:
    """What is to be done now, the oldest first; marked, so that nobody does it again."""
    waiting = CollectorCommand.objects.filter(collector=collector, taken_ms=None, asked_ms__gt=now_ms - FRESH_MS)
    # One by one: of two collectors of one name, one takes it.
    return [
        command.action
        for command in waiting.order_by("id")
        if CollectorCommand.objects.filter(pk=command.pk, taken_ms=None).update(taken_ms=now_ms)
    ]


def commands_last(now_ms: int) -> dict[str, Asked]:
    """The last of each collector."""
    commands = CollectorCommand.objects.filter(asked_ms__gt=now_ms - KEPT_MS).order_by("id")
    return {command.collector: asked(command, now_ms) for command in commands}


def asked(command: CollectorCommand, now_ms: int) -> Asked:
    is_late = command.asked_ms <= now_ms - FRESH_MS
    state = "taken" if command.taken_ms is not None else "missed" if is_late else "waiting"
    return Asked(command.action, command.actor, command.asked_ms, command.taken_ms, state)


def commands_prune(now_ms: int) -> int:
    """Forget what was asked more than a day ago; how many those were."""
    return CollectorCommand.objects.filter(asked_ms__lt=now_ms - KEPT_MS).delete()[0]
