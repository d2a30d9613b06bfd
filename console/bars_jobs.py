"""Verifying and rebuilding liquidation bars: the long work behind the page of bars."""

from typing import Any

from django.db import Error as DatabaseError

from console.jobs import JobFailed, Report, work_for
from console.models import Job
from console.texts import counted
from liquidations.bars import bars_advance, bars_rebuild, bars_status, stale_days_build_some, stale_symbols
from liquidations.caching import orders_changed_outside
from liquidations.verifying import bars_verify, known_symbols
from marketdata.clock import clock_ms

SHOWN_DIFFERENCES = 200


@work_for("bars.verify")
def verify(job: Job, report: Report) -> dict[str, Any]:
    """Compare with the table, symbol by symbol; with ``repair`` what differs is built again."""
    window = job.arguments["start_ms"], job.arguments["end_ms"]
    names = [job.target] if job.target else database_asked(known_symbols)
    repair, found, shown = job.arguments["repair"], 0, []
    for number, name in enumerate(names):
        report(number, len(names), f"{name}; {found:,} days differ so far")
        for difference in database_asked(lambda: list(bars_verify(name, *window, repair=repair))):  # noqa: B023
            found += 1
            if len(shown) < SHOWN_DIFFERENCES:
                shown.append(str(difference))
    if repair and found:
        build_stale_days(report)
    report(len(names), len(names), verdict(found, repair))
    return {"amount": found, "differences": shown, "repaired": repair}


def verdict(found: int, repair: bool) -> str:
    if not found:
        stale = bars_status().stale_days
        return f"Every bar equals the table{f'; {stale:,} stale days were left out' if stale else ''}."
    if repair:
        one, many = (
            "day differed from the table and was built again",
            "days differed from the table and were built again",
        )
        return f"{counted(found, one, many)}."
    return f"{counted(found, 'day differs', 'days differ')} from the table."


@work_for("bars.rebuild")
def rebuild(job: Job, report: Report) -> dict[str, Any]:
    """Make the bars of the window again; until they are done the table answers."""
    symbol = job.target or None
    report(0, None, "looking for the days")
    database_asked(lambda: bars_advance(clock_ms()))
    days = database_asked(lambda: bars_rebuild(symbol, job.arguments["start_ms"], job.arguments["end_ms"]))
    # Whoever rebuilds does so because rows were changed behind our back.
    orders_changed_outside(symbol)
    build_stale_days(report)
    marked = sum(days.values())
    told = f"{marked:,} days of {len(days):,} symbols were built again."
    left = bars_status().stale_days
    report(marked, marked, f"{told} {left:,} days are still stale: others may be at them." if left else told)
    return {"amount": marked, "symbols": len(days)}


def build_stale_days(report: Report) -> None:
    """Beat's own building takes its share meanwhile."""
    total, built = bars_status().stale_days, 0
    for symbol in stale_symbols():
        while days := database_asked(lambda: stale_days_build_some(symbol)):  # noqa: B023
            built += days
            report(min(built, total), total, f"building {symbol}")


def database_asked(ask: Any) -> Any:
    try:
        return ask()
    except DatabaseError as error:
        raise JobFailed(f"The database failed: {error}. Ask for it again: what is done stays done.") from error
