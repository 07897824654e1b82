"""The figure of total variation before and after the permutation."""

from neumeta.report.facts import Variation
from neumeta.report.palette import light
from neumeta.report.style import look, new_figure, to_svg
from neumeta.report.wording import change, count


def variation_figure(variation: Variation, narrow: bool = False) -> str:
    """Draw one pair of bars per group: the original order and the smoothing order.

    Args:
        variation: What the permutation did.
        narrow: Draw for a phone.

    Returns:
        Standalone SVG.
    """
    groups = variation.groups
    with look():
        figure = new_figure(345 if narrow else 800, 86 + 40 * max(len(groups), 1))
        axes = figure.add_subplot()
        largest = max((max(g.before, g.after) for g in groups), default=0.0) or 1.0
        for place, group in enumerate(groups):
            label = "original order" if place == 0 else None
            axes.barh(place - 0.17, group.before, 0.3, color=light("grey"), alpha=0.45, label=label)
            label = "smoothing order" if place == 0 else None
            axes.barh(place + 0.17, group.after, 0.3, color=light("blue"), label=label)
            axes.text(
                max(group.before, group.after) + 0.015 * largest,
                place,
                change(group.before, group.after),
                va="center",
                fontsize=10.5,
            )
        axes.set_yticks(
            range(len(groups)), [f"{g.name}\n{g.channels} channels" for g in groups], fontsize=10
        )
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_xlim(0, largest * (1.28 if narrow else 1.13))
        axes.tick_params(axis="y", length=0, colors=light("ink"))
        axes.spines["left"].set_visible(False)
        axes.locator_params(axis="x", nbins=4 if narrow else 8)
        axes.xaxis.set_major_formatter(lambda value, _: count(value))
        axes.set_xlabel("total variation along the shared axis")
        axes.grid(axis="x")
        if groups:
            figure.legend(loc="outside lower left", ncols=2)
        return to_svg(figure)
