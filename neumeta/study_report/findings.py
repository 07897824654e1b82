"""What a study found, in sentences that hold whatever was measured."""

import math

from neumeta.report.summary import KeyFigure
from neumeta.report.wording import MINUS, SPACE, change, digits_for, percent, points
from neumeta.study_report.facts import NetworkOrders, Spread, StudyFacts
from neumeta.study_report.labels import LABELS, ORIGINAL, OURS

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
    tellers = (_published_variation, _layer_wise, _random, _at_full_width, _by_width, _dead)
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
        KeyFigure(_fall(main), "total variation", f"of {main.name}, {len(main.groups)} groups"),
        KeyFigure(
            percent(main.gap(OURS), 2),
            "above the proven bound",
            f"all paths of {main.name} together",
        ),
        KeyFigure(percent(worst, 2), "above it at worst", f"group {group} of {network}"),
        KeyFigure(
            percent(ours.mean, digits),
            f"INRs from our order, h = {full}",
            f"{percent(original.mean, digits)} from the original order, n = {ours.n}",
        ),
    ]


def differences(facts: StudyFacts, width: int) -> dict[str, float]:
    """Accuracy at a width, less that from the original order.

    Args:
        facts: The inputs of the report.
        width: Channels.

    Returns:
        Fractions by strategy.
    """
    inrs = facts.inrs
    original = inrs.accuracy(ORIGINAL, width).mean
    return {name: inrs.accuracy(name, width).mean - original for name in LABELS}


def _smoothest(facts: StudyFacts) -> str:
    networks = facts.networks
    best = sum(_is_smoothest(network) for network in networks)
    count = f"all {best}" if best == len(networks) else f"{best} of {len(networks)}"
    shares = [network.relative(OURS).mean - 1 for network in networks]
    ends = dict.fromkeys((_signed(max(shares)), _signed(min(shares))))
    return (
        f"On {count} networks the path over all tensors of a group is the smoothest order: the "
        f"total variation changes by {' to '.join(ends)}."
    )


def _is_smoothest(network: NetworkOrders) -> bool:
    ours = Spread.of(network.variation[OURS]).mean
    return all(
        ours < Spread.of(values).mean for name, values in network.variation.items() if name != OURS
    )


def _proven(facts: StudyFacts) -> str:
    gaps = [network.gap(OURS) for network in facts.networks]
    worst, group, network = _worst(facts)
    return (
        f"Its paths are proven to be within {percent(max(gaps), 2)} of the shortest in every "
        f"network, and within {percent(worst, 2)} in every group (worst: {group} of {network})."
    )


def _worst(facts: StudyFacts) -> tuple[float, str, str]:
    """The largest gap of our order, with its group and network."""
    found = [
        (gap, group.name, network.name)
        for network in facts.networks
        for group in network.groups
        if (gap := group.gap(OURS)) is not None
    ]
    return max(found, default=(0.0, "none", "none"))


def _inrs(facts: StudyFacts) -> str:
    inrs, digits = facts.inrs, digits_for(facts.inrs.examples)
    full, small = inrs.widths[-1], inrs.widths[0]

    def at(name: str, width: int) -> str:
        return _with_spread(inrs.accuracy(name, width), digits)

    seeds = inrs.accuracy(OURS, full).n
    return (
        f"INRs of {inrs.experiment} that are trained from it reach {at(OURS, full)} at h = {full} "
        f"and {at(OURS, small)} at h = {small}; from the original order {at(ORIGINAL, full)} and "
        f"{at(ORIGINAL, small)} (n = {seeds} {'seed' if seeds == 1 else 'seeds'})."
    )


def _published_variation(facts: StudyFacts) -> str:
    told, main = facts.published, facts.main
    if not {ORIGINAL, OURS} <= set(told):
        return ""
    before, after = (told[name]["variation"] for name in (ORIGINAL, OURS))
    ours, original = (Spread.of(main.variation[name]).mean for name in (OURS, ORIGINAL))
    text = (
        f"The supplement reports {change(before, after)} for a ResNet-20 on CIFAR-10 "
        f"({decimal(before)} to {decimal(after)}). On the weights of {main.name} it is "
        f"{change(original, ours)} ({decimal(original)} to {decimal(ours)}), the sum over all "
        "weights, undivided."
    )
    missing = ours - original * after / before
    if missing > main.left():
        text += (
            f" In any order its paths could be shorter by {decimal(main.left())} "
            f"at most; {decimal(missing)} are missing to the published share."
        )
    return text


def _layer_wise(facts: StudyFacts) -> str:
    parts = []
    for name in ("layer-greedy", "layer-2-opt"):
        gaps = sorted(network.gap(name) for network in facts.networks)
        parts.append(
            f"{LABELS[name].text} leaves paths {percent(gaps[0])} to {percent(gaps[-1])} above "
            "the bound"
        )
    ours = max(network.gap(OURS) for network in facts.networks)
    return (
        f"Orders by the first tensor alone: {'; '.join(parts)}. Ours is within {percent(ours, 2)}."
    )


def _random(facts: StudyFacts) -> str:
    shares = [network.relative("random").mean - 1 for network in facts.networks]
    text = (
        "A random order changes the total variation of the original one by "
        f"{_signed(min(shares))} to {_signed(max(shares))}"
    )
    if max(map(abs, shares)) < _LIKE_CHANCE:
        text += ": training leaves channels in an order that is hardly smoother than chance"
    return f"{text}."


def _at_full_width(facts: StudyFacts) -> str:
    inrs, told = facts.inrs, facts.published
    full = inrs.widths[-1]
    gain = differences(facts, full)[OURS]
    text = (
        f"At full width the INRs from our order are {_by(gain, inrs.examples)} those from the "
        "original one"
    )
    if {ORIGINAL, OURS} <= set(told):
        more = (told[OURS]["accuracy"] - told[ORIGINAL]["accuracy"]) / 100
        text += f"; in the supplement they are {_by(more, inrs.examples)} them"
    return text + "."


def _by_width(facts: StudyFacts) -> str:
    inrs, digits = facts.inrs, digits_for(facts.inrs.examples)
    parts = []
    for width in inrs.widths[::-1]:
        best = max(LABELS, key=lambda name: inrs.accuracy(name, width).mean)
        found = _with_spread(inrs.accuracy(best, width), digits)
        text = f"{LABELS[best].text} at h = {width} ({found}"
        if best != OURS:
            text += f", ours {_with_spread(inrs.accuracy(OURS, width), digits)}"
        parts.append(text + ")")
    return f"The best order for the INR: {'; '.join(parts)}."


def _dead(facts: StudyFacts) -> str:
    dead = {name: facts.inrs.collapsed(name) for name in LABELS}
    if not any(dead.values()):
        return ""
    told = ", ".join(f"{LABELS[name].text} {number}" for name, number in dead.items() if number)
    return f"Dead generators, which say the same at every width: {told}."


def _by(difference: float, examples: int) -> str:
    digits = digits_for(examples)
    if round(100 * abs(difference), digits) == 0:
        return "level with"
    return f"{points(difference, digits)} {'above' if difference > 0 else 'below'}"


def _fall(network: NetworkOrders) -> str:
    return _signed(network.relative(OURS).mean - 1)


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}{SPACE}%".replace("-", MINUS)


def _with_spread(value: Spread, digits: int) -> str:
    text = f"{100 * value.mean:.{digits}f}"
    if math.isfinite(value.std):
        text += f" ± {100 * value.std:.{digits}f}"
    return f"{text}{SPACE}%"


def decimal(value: float) -> str:
    """Write a total variation.

    Args:
        value: The number.

    Returns:
        Two decimals, with thin gaps between thousands.
    """
    return f"{value:,.2f}".replace(",", SPACE)
