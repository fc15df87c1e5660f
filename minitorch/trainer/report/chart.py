"""`chart`: lines over epochs or steps, as SVG inside HTML."""

import json
import math
from collections.abc import Sequence
from html import escape

import attrs

Point = tuple[float, float]

WIDTH, HEIGHT = 400, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 10, 34  # of the plot, inside the picture
MOST_POINTS = 400  # of a line: more than there are pixels would show nothing more
# What every chart cuts its lines with, once in a page.
CLIP = (
    f'<svg width="0" height="0" aria-hidden="true"><clipPath id="plot"><rect x="{LEFT - 4}" y="{TOP - 4}" '
    f'width="{WIDTH - LEFT - RIGHT + 8}" height="{HEIGHT - TOP - BOTTOM + 8}"/></clipPath></svg>'
)
OUTLIERS = 0.02  # the share of a noisy line, at each end, that does not widen the axis


@attrs.frozen
class Line:
    """One line of a chart.

    Attributes:
        label: what it is.
        colour: the number of its colour; faint ones are noise behind a line of the same colour.
        points: (x, y), in the order of x.
    """

    label: str
    colour: int
    points: Sequence[Point]
    faint: bool = False


def chart(title: str, x_name: str, lines: Sequence[Line]) -> str:
    """A figure with a title, a legend, and the lines; a script of the page shows the values under the pointer."""
    lines = [attrs.evolve(line, points=thinned(_finite(line.points))) for line in lines]
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    x = _Axis.around([p[0] for line in lines for p in line.points], LEFT, WIDTH - RIGHT, whole=True)
    y = _Axis.around(_range_of(lines), HEIGHT - BOTTOM, TOP)
    legend = "".join(
        f'<span class="key c{line.colour}{" faint" * line.faint}">{escape(line.label)}</span>'
        for line in sorted(lines, key=lambda line: line.faint)
    )
    return (
        f'<figure class="panel"><figcaption><b>{escape(title)}</b>{legend}</figcaption>'
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        f'data-chart="{escape(_for_script(x_name, x, lines))}">'
        f'{_grid(x, y, x_name)}<g clip-path="url(#plot)">{"".join(_line(line, x, y) for line in lines)}</g>'
        f'<line class="cursor" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/></svg><div class="tip" hidden=""></div></figure>'
    )


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most `MOST_POINTS` of the points: of each stretch the lowest and the highest, so that no spike is lost."""
    if len(points) <= MOST_POINTS:
        return list(points)
    stretches = MOST_POINTS // 2
    kept: list[Point] = []
    for i in range(stretches):
        part = points[i * len(points) // stretches : (i + 1) * len(points) // stretches]
        kept += sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])})
    return kept


def number(value: float) -> str:
    """A number as short as its four first digits allow."""
    return f"{value:.4g}"


@attrs.frozen
class _Axis:
    """From values to places in the picture."""

    low: float
    high: float
    start: float
    stop: float
    ticks: tuple[float, ...]

    @classmethod
    def around(cls, values: Sequence[float], start: float, stop: float, whole: bool = False) -> "_Axis":
        """The axis for `values`; `whole`: its ticks are integers."""
        low, high = min(values), max(values)
        if low == high:
            low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
        step = _nice((high - low) / (6 if whole else 4))
        if whole:
            step = max(step, 1.0)
        else:
            low, high = low - (high - low) * 0.04, high + (high - low) * 0.04
        first = math.ceil(low / step)
        ticks = tuple(step * i for i in range(first, math.floor(high / step) + 1))
        return cls(low, high, start, stop, ticks)

    def at(self, value: float) -> float:
        """Where `value` is, in the picture's units."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start), 1)


def _nice(step: float) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that is at least `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= step * 0.999)


def _finite(points: Sequence[Point]) -> list[Point]:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _range_of(lines: Sequence[Line]) -> list[float]:
    """The values that must be in sight: all of the lines, and of noise what is no outlier."""
    values = [y for line in lines if not line.faint for _, y in line.points]
    for line in lines:
        if line.faint:
            noise = sorted(y for _, y in line.points)
            cut = int(len(noise) * OUTLIERS)
            values += noise[cut : len(noise) - cut]
    return values


def _grid(x: _Axis, y: _Axis, x_name: str) -> str:
    parts = []
    for tick in y.ticks:
        at = y.at(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 3.5:.1f}" text-anchor="end">{number(tick)}</text>')
    for tick in x.ticks:
        anchor = "end" if x.at(tick) > WIDTH - RIGHT - 12 else "middle"
        parts.append(f'<text x="{x.at(tick)}" y="{HEIGHT - BOTTOM + 15}" text-anchor="{anchor}">{_tick(tick)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="axis" x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x_name)}</text>')
    return "".join(parts)


def _tick(value: float) -> str:
    """A count, in thousands or millions where it is long."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= 10 * size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _line(line: Line, x: _Axis, y: _Axis) -> str:
    kind = f"c{line.colour}" + (" faint" if line.faint else "")
    places = [(x.at(a), y.at(b)) for a, b in line.points]
    drawn = f'<polyline class="{kind}" points="{" ".join(f"{a},{b}" for a, b in places)}"/>'
    if not line.faint and len(places) <= 30:
        drawn += "".join(f'<circle class="{kind}" cx="{a}" cy="{b}" r="2.6"/>' for a, b in places)
    return drawn


def _for_script(x_name: str, x: _Axis, lines: Sequence[Line]) -> str:
    """What the script of the page needs: where x is, and the values."""
    return json.dumps(
        {
            "x": x_name,
            "low": x.low,
            "high": x.high,
            "left": LEFT,
            "right": WIDTH - RIGHT,
            "width": WIDTH,
            "lines": [
                {
                    "label": line.label,
                    "colour": line.colour,
                    "points": [[float(number(a)), float(number(b))] for a, b in line.points],
                }
                for line in lines
            ],
        },
        separators=(",", ":"),
    )
