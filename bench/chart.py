"""Draws the ratios as an SVG bar chart, with a line at 1.00 for Starlette with the raw driver."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from html import escape
from itertools import groupby

from bench.results import Result
from bench.workloads import TITLES as WORKLOAD_TITLES

WIDTH, LEFT, RIGHT = 900, 290, 40
BAR, GAP, GROUP_GAP = 15, 3, 12
COLOURS = ("#0b7a75", "#5fb49c", "#c9c5ba")
"""For EitherDB's one or two drivers, and for FastAPI."""
INSIDE = 40
"""The shortest bar, in pixels, that has room for its own figure."""
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#222}"
    ".h{font-weight:600;font-size:15px}"
    ".s{font-size:11px;fill:#555}"
    ".v{font-size:11px;fill:#fff}"
    ".d{font-size:11px;fill:#222}"
    ".b{font-size:11px;fill:#b3261e}"
)


def chart(results: Sequence[Result], titles: dict[str, str], caption: str) -> str:
    """Return the SVG.

    Args:
        results: The results of all databases. The baseline of the ratios is a line and not a bar.
        titles: The title of each database.
        caption: The date and the versions, in one line.
    """
    bars = [each for each in results if each.workload != "hello" and "Starlette" not in each.contender]
    longest = max(1.0, *(each.ratio for each in bars))
    scale = (WIDTH - LEFT - RIGHT) / longest
    baseline = LEFT + scale
    parts = [_text(10, 24, "Requests per second, relative to Starlette with the raw driver (1.00)", "h")]
    top = 48.0
    for database, of_database in groupby(bars, key=lambda each: each.database):
        begin, top = top, top + 20
        parts.append(_text(10, top, titles[database], "h"))
        parts.append(_text(baseline, top, "1.00", "b", anchor="middle"))
        behind = len(parts)
        top += 8
        for workload, of_workload in groupby(of_database, key=lambda each: each.workload):
            top += GROUP_GAP
            for place, result in enumerate(of_workload):
                colour = COLOURS[-1] if result.contender.startswith("FastAPI") else COLOURS[place]
                middle = top + BAR - 3
                if place == 0:
                    parts.append(_text(10, middle, WORKLOAD_TITLES[workload]))
                parts.append(_text(LEFT - 8, middle, result.contender, "s", anchor="end"))
                length = result.ratio * scale
                parts.append(
                    f'<rect x="{LEFT}" y="{top:.0f}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>'
                )
                figure = f"{result.ratio:.2f}"
                if length >= INSIDE:
                    shade = "v" if colour == COLOURS[0] else "d"  # white is legible on the darkest alone
                    parts.append(_text(LEFT + length - 5, middle, figure, shade, anchor="end"))
                else:
                    parts.append(_text(LEFT + length + 5, middle, figure, "d"))
                top += BAR + GAP
        top += GROUP_GAP
        # Inserted before the bars, so it is drawn behind them and crosses no figure.
        parts.insert(
            behind,
            f'<line x1="{baseline:.1f}" x2="{baseline:.1f}" y1="{begin + 24:.0f}" y2="{top - 8:.0f}" '
            'stroke="#b3261e" stroke-dasharray="4 3"/>',
        )
    for line in textwrap.wrap(caption, 140):
        top += 16
        parts.append(_text(10, top, line, "s"))
    height = top + 14
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
        f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _text(x: float, y: float, words: str, kind: str = "", *, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'
