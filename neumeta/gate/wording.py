"""The text of what `neumeta code accept` found."""

from collections.abc import Iterator

from neumeta.gate.accept import Outcome

MOST_FAULTS = 3
MOST_PLACES = 12


def told(outcome: Outcome | None) -> Iterator[str]:
    """Say what became of every stage whose code changed.

    Args:
        outcome: Of `accept`.

    Yields:
        Lines of text.
    """
    if outcome is None:
        yield "nothing to accept: all committed results are by the code as it is"
        return
    yield f"compared with {outcome.base} by twins, in {outcome.seconds:.0f} s"
    for verdict in outcome.verdicts:
        if verdict.faults:
            yield f"  refused   {verdict.stage}: {verdict.runs} runs agree, but"
            yield from (f"              {fault}" for fault in verdict.faults[:MOST_FAULTS])
            if len(verdict.faults) > MOST_FAULTS:
                yield f"              and {len(verdict.faults) - MOST_FAULTS} more"
        elif verdict.runs:
            yield f"  accepted  {verdict.stage}: {verdict.runs} runs agree"
            if verdict.others:
                yield f"              but {verdict.others} results are by yet other code, and stale"
        else:
            yield f"  untested  {verdict.stage}: no twin ran it"
    unrun = outcome.unrun
    yield f"  {unrun.count} of {unrun.changed} changed statements were run by no twin"
    places = [f"{path}:{line}" for path, lines in sorted(unrun.lines.items()) for line in lines]
    yield from (f"              {place}" for place in places[:MOST_PLACES])
    if len(places) > MOST_PLACES:
        yield f"              and {len(places) - MOST_PLACES} more"
