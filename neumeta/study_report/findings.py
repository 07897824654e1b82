"""What a study found, in sentences that hold whatever was measured."""

import math

from neumeta.report.summary import KeyFigure
from neumeta.report.wording import SPACE, digits_for, percent
from neumeta.study_report.facts import NetworkOrders, Spread, StudyFacts
from neumeta.study_report.labels import LABELS, ORIGINAL, OURS
from neumeta.study_report.numbers import at_most, decimal, difference, share, with_spread

_LIKE_CHANCE = 0.02  # share of the total variation


def headline(facts: StudyFacts) -> str:
    """Say the main results.

    Args:
        facts: The inputs of the report.

    Returns:
        Three sentences.
    """
    return " ".join([_smoothest(facts), _proven(facts), _inrs(facts)])


def findings(facts: StudyFacts) -> list[str]:
    """Say what else was found, beside what the paper reports.

    Args:
        facts: The inputs of the report.

    Returns:
        Sentences.
    """
    tellers = (_published_variation, _layer_wise, _random, _at_largest_width, _by_width, _dead)
    return [text for teller in tellers if (text := teller(facts))]


def key_figures(facts: StudyFacts) -> list[KeyFigure]:
    """Choose the large numbers of the page.

    Args:
        facts: The inputs of the report.

    Returns:
        Four numbers.
    """
    main, inrs = facts.main, facts.inrs
    full, digits = inrs.widths[-1], digits_for(inrs.examples)
    worst, group, network = _worst(facts)
    ours, original = (inrs.accuracy(name, full) for name in (OURS, ORIGINAL))
    return [
        KeyFigure(
            share(main.relative(OURS).mean - 1),
            "total variation",
            f"of {main.name}, by our order of its {len(main.groups)} groups",
        ),
        KeyFigure(
            at_most(main.gap(OURS)),
            "above the bound, at most",
            f"all paths of {main.name} together",
        ),
        KeyFigure(at_most(worst), "above it in the worst group", f"{group} of {network}"),
        KeyFigure(
            percent(ours.mean, digits),
            f"INRs from our order, h = {full}",
            f"{percent(original.mean, digits)} from the original order, n = {ours.n}",
        ),
    ]


def _smoothest(facts: StudyFacts) -> str:
    networks = facts.networks
    best = sum(_is_smoothest(network) for network in networks)
    count = f"all {best}" if best == len(networks) else f"{best} of {len(networks)}"
    changes = [network.relative(OURS).mean - 1 for network in networks]
    ends = dict.fromkeys((share(max(changes)), share(min(changes))))
    return (
        f"On {count} networks the path over all tensors of a group is the smoothest of the "
        f"{_word(len(LABELS))} orders; it changes the total variation by {' to '.join(ends)}."
    )


def _is_smoothest(network: NetworkOrders) -> bool:
    ours = Spread.of(network.variation[OURS]).mean
    return all(
        ours < Spread.of(values).mean for name, values in network.variation.items() if name != OURS
    )


def _proven(facts: StudyFacts) -> str:
    gaps = [gap for network in facts.networks if (gap := network.gap(OURS)) is not None]
    if not gaps:
        return "No lower bound says anything about its paths."
    worst, group, network = _worst(facts)
    open_ = sum(g.gap(OURS) is None for n in facts.networks for g in n.groups)
    text = (
        f"In every run its paths are proven to be within {at_most(max(gaps))} of the shortest in "
        f"each network, and within {at_most(worst)} in each group (worst: {group} of {network})"
    )
    return text + (f"; of {open_} groups there is no bound." if open_ else ".")


def _worst(facts: StudyFacts) -> tuple[float, str, str]:
    """The largest gap of our order, with its group and network."""
    found = [
        (gap, group.name, network.name)
        for network in facts.networks
        for group in network.groups
        if (gap := group.gap(OURS)) is not None
    ]
    return max(found, default=(math.nan, "none", "none"))


def _inrs(facts: StudyFacts) -> str:
    inrs, digits = facts.inrs, digits_for(facts.inrs.examples)
    full, small = inrs.widths[-1], inrs.widths[0]

    def at(name: str, width: int) -> str:
        return with_spread(inrs.accuracy(name, width), digits)

    seeds = inrs.accuracy(OURS, full).n
    dead = sum(inrs.collapsed(name) for name in (OURS, ORIGINAL))
    return (
        f"INRs of {inrs.experiment} that are trained from it reach {at(OURS, full)} at h = {full} "
        f"and {at(OURS, small)} at h = {small}; from the original order {at(ORIGINAL, full)} and "
        f"{at(ORIGINAL, small)} (n = {seeds} {'seed' if seeds == 1 else 'seeds'}"
        + (f", {dead} of these generators dead)." if dead else ").")
    )


def _published_variation(facts: StudyFacts) -> str:
    told, main = facts.published, facts.main
    if not {ORIGINAL, OURS} <= set(told):
        return ""
    before, after = (told[name]["variation"] for name in (ORIGINAL, OURS))
    ours, original = (Spread.of(main.variation[name]).mean for name in (OURS, ORIGINAL))
    text = (
        f"Published ({facts.published_as}): {share(after / before - 1)}, {decimal(before)} to "
        f"{decimal(after)}. On the weights of {main.name} it is {share(ours / original - 1)}, "
        f"{decimal(original)} to {decimal(ours)}, in the sum over all weights, undivided, with "
        "BatchNorm folded; whether the published sums are so, is not told."
    )
    missing = ours - original * after / before
    if missing > main.left():
        text += (
            " In any order its paths could be shorter than in our worst run by "
            f"{decimal(main.left())} at most; {decimal(missing)} are missing to the published "
            "share."
        )
    return text


def _layer_wise(facts: StudyFacts) -> str:
    parts = []
    for name in ("layer-greedy", "layer-2-opt"):
        gaps = [gap for network in facts.networks if (gap := network.gap(name)) is not None]
        if gaps:
            low, high = percent(min(gaps)), percent(max(gaps))
            parts.append(f"{LABELS[name].text} leaves all paths together {low} to {high} above")
    return f"Against the proven bound: {'; '.join(parts)}." if parts else ""


def _random(facts: StudyFacts) -> str:
    changes = [network.relative("random").mean - 1 for network in facts.networks]
    text = (
        "A random order changes the total variation of the original one by "
        f"{share(min(changes))} to {share(max(changes))}"
    )
    if max(map(abs, changes)) < _LIKE_CHANCE:
        text += ": training leaves channels in an order that is hardly smoother than chance"
    return f"{text}."


def _at_largest_width(facts: StudyFacts) -> str:
    inrs, told = facts.inrs, facts.published
    full, digits = inrs.widths[-1], digits_for(inrs.examples)
    gain = difference(inrs.difference(OURS, ORIGINAL, full), digits)
    text = f"At h = {full} the INRs from our order, against those from the original one: {gain}"
    if {ORIGINAL, OURS} <= set(told):
        more = told[OURS]["accuracy"] - told[ORIGINAL]["accuracy"]
        text += f"; published is a difference of {more:+.2f} points, of one run each"
    return text + "."


def _by_width(facts: StudyFacts) -> str:
    inrs, digits = facts.inrs, digits_for(facts.inrs.examples)
    parts = []
    for width in inrs.widths[::-1]:
        best = max(LABELS, key=lambda name: inrs.accuracy(name, width).mean)
        text = (
            f"h = {width}: {LABELS[best].text}, {with_spread(inrs.accuracy(best, width), digits)}"
        )
        if best != OURS:
            text += f" (ours: {difference(inrs.difference(OURS, best, width), digits)})"
        parts.append(text)
    return (
        f"The order with the highest mean accuracy: {'; '.join(parts)}. Not told apart: 0 lies in "
        "the 95 % interval (Student's t) of the difference, paired by seed."
    )


def _dead(facts: StudyFacts) -> str:
    dead = {name: facts.inrs.collapsed(name) for name in LABELS}
    if not any(dead.values()):
        return ""
    told = ", ".join(f"{LABELS[name].text} {number}" for name, number in dead.items() if number)
    return f"Dead generators, which no mean leaves out: {told}."


def _word(number: int) -> str:
    words = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[number] if number < len(words) else f"{number}{SPACE}"
