"""Small SVG charts: horizontal bars, columns, a line. No library, no script, nothing from outside.

Colours are classes that the page's style sheet gives a light and a dark form. Every mark carries
its own title, which browsers show on hover; the whole carries a title and a description, which
screen readers read.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from sales_pipeline.demo.markup import element

ROW_HEIGHT = 30
BAR_HEIGHT = 16
LETTER_WIDTH = 7.0
"""On average, in the size that the style sheet gives to chart texts."""
PLOT_WIDTH = 960
PLOT_LEFT = 56
MAX_LABELS = 12
MAX_COLUMN = 64
_NEARLY = 1e-9
"""Floats that should be equal differ by less."""


@dataclass(frozen=True)
class Caption:
    """What a chart is about, for people who see it and for people who do not."""

    name: str
    """Unique on the page."""
    title: str
    description: str


@dataclass(frozen=True)
class Mark:
    """One value of a chart."""

    label: str
    value: float
    shown: str
    """The value as people read it."""
    hint: str = ""
    """What else is told on hover."""

    @property
    def told(self) -> str:
        """The mark in words."""
        return f"{self.label}: {self.shown}{f' ({self.hint})' if self.hint else ''}"


@dataclass(frozen=True)
class Scale:
    """Maps values onto pixels; `start` is where the least lies."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value lies."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from the lowest to the highest value, at most `about` steps; zero among them.

    Args:
        low: The lowest value, zero or below.
        high: The highest value, zero or above.
        about: The number of steps at most.
    """
    rough = (high - low) / about or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - _NEARLY))
    first, last = math.ceil(low / step - _NEARLY), math.floor(high / step + _NEARLY)
    return [step * number for number in range(first, last + 1)]


def compact(value: float) -> str:
    """A number in few letters: 1.2 M, 340 k, 12."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        # From where rounding would make 1000 of the smaller unit.
        if abs(value) >= unit * 0.9995:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"


def horizontal_bars(
    caption: Caption, marks: Sequence[Mark], *, width: int = 520, tone: str = "accent"
) -> Element:
    """Bars from left to right, one below the other, each with its label and its value.

    Args:
        caption: What it is about.
        marks: In the order in which they are drawn; values from zero up.
        width: Of the drawing; what is drawn scales with the page.
        tone: The class of the bars.
    """
    left = min(width * 0.5, LETTER_WIDTH * max((len(m.label) for m in marks), default=0) + 12)
    right = LETTER_WIDTH * max((len(m.shown) for m in marks), default=0) + 14
    scale = Scale(0, max((m.value for m in marks), default=0) or 1, left, width - right)
    rows = [_row(mark, index, scale, tone) for index, mark in enumerate(marks)]
    return _figure(caption, width, ROW_HEIGHT * max(len(marks), 1), rows or [_nothing(width)])


def columns(caption: Caption, marks: Sequence[Mark], *, height: int = 150) -> Element:
    """Columns upwards from zero, or downwards where there is a loss."""
    plot = _Plot(marks, height)
    zero = plot.y(0)
    drawn = []
    for index, mark in enumerate(marks):
        top, bottom = sorted((plot.y(mark.value), zero))
        tone = "gain" if mark.value >= 0 else "loss"
        x = plot.x(index) - plot.column / 2
        drawn.append(_titled(mark, _rect(x, top, plot.column, max(bottom - top, 1.0), tone)))
    return _figure(caption, PLOT_WIDTH, height, [*plot.axes(), *drawn])


def line(caption: Caption, marks: Sequence[Mark], *, height: int = 280) -> Element:
    """A line over an area; its highest point is named, the others are told on hover."""
    plot = _Plot(marks, height)
    points = [(plot.x(index), plot.y(mark.value)) for index, mark in enumerate(marks)]
    drawn = plot.axes()
    if points:
        drawn += [_area(points, plot.y(0)), _stroke(points), _peak(marks, points)]
    slots = [_slot(plot, mark, point) for mark, point in zip(marks, points, strict=True)]
    return _figure(caption, PLOT_WIDTH, height, [*drawn, *slots])


class _Plot:
    """The frame that columns and lines share, so that one below the other they line up."""

    def __init__(self, marks: Sequence[Mark], height: int) -> None:
        values = [0.0, *(mark.value for mark in marks)]
        low, high = min(values), max(values)
        self.marks = marks
        self.bottom = height - 30.0
        self.ticks = ticks(low, high, max(3, height // 65))
        self.y = Scale(low, high if high > low else low + 1, self.bottom, 26.0)
        self.slot = (PLOT_WIDTH - PLOT_LEFT) / max(len(marks), 1)
        self.column = min(self.slot * 0.62, MAX_COLUMN)

    def x(self, index: int) -> float:
        """The middle of a mark's slot."""
        return PLOT_LEFT + self.slot * (index + 0.5)

    def axes(self) -> list[Element]:
        """Thin lines at round values, and as many labels below as there is room for."""
        if not self.marks:
            return [_nothing(PLOT_WIDTH)]
        every = math.ceil(len(self.marks) / MAX_LABELS)
        labels = [
            _label(self.x(index), self.bottom + 21, self.marks[index].label, "middle muted")
            for index in range(0, len(self.marks), every)
        ]
        return [part for value in self.ticks for part in self._tick(value)] + labels

    def _tick(self, value: float) -> tuple[Element, Element]:
        y, kind = self.y(value), "axis" if value == 0 else "grid"
        return (
            element("line", class_=kind, x1=PLOT_LEFT, x2=PLOT_WIDTH, y1=y, y2=y),
            _label(PLOT_LEFT - 10, y + 4, compact(value), "end muted"),
        )


def _figure(caption: Caption, width: int, height: int, parts: Sequence[Element]) -> Element:
    title, description = f"{caption.name}-title", f"{caption.name}-description"
    return element(
        "svg",
        element("title", caption.title, id=title),
        element("desc", caption.description, id=description),
        *parts,
        class_="chart",
        role="img",
        aria_labelledby=f"{title} {description}",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
    )


def _row(mark: Mark, index: int, scale: Scale, tone: str) -> Element:
    middle = ROW_HEIGHT * (index + 0.5)
    end = scale(mark.value)
    length = max(end - scale.start, 2.0)
    return _titled(
        mark,
        _label(scale.start - 10, middle + 4, _fitting(mark.label, scale.start), "end"),
        _rect(scale.start, middle - BAR_HEIGHT / 2, length, float(BAR_HEIGHT), tone),
        _label(scale.start + length + 7, middle + 4, mark.shown, "value"),
    )


def _fitting(label: str, room: float) -> str:
    most = int((room - 10) / LETTER_WIDTH)
    return label if len(label) <= most else f"{label[: most - 1].rstrip()}…"


def _titled(mark: Mark, *parts: Element) -> Element:
    return element("g", element("title", mark.told), *parts, class_="mark")


def _rect(x: float, y: float, width: float, height: float, tone: str) -> Element:
    return element("rect", class_=tone, x=x, y=y, width=width, height=height, rx=2.5)


def _label(x: float, y: float, text: str, kind: str) -> Element:
    return element("text", text, x=x, y=y, class_=kind)


def _nothing(width: int) -> Element:
    return _label(width / 2, ROW_HEIGHT * 0.5 + 4, "Nothing to show", "middle muted")


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _area(points: Sequence[tuple[float, float]], zero: float) -> Element:
    closed = [(points[0][0], zero), *points, (points[-1][0], zero)]
    return element("path", class_="area", d=f"M{_path(closed)} Z")


def _stroke(points: Sequence[tuple[float, float]]) -> Element:
    return element("path", class_="stroke", d=f"M{_path(points)}")


def _peak(marks: Sequence[Mark], points: Sequence[tuple[float, float]]) -> Element:
    top = max(range(len(marks)), key=lambda index: marks[index].value)
    x, y = points[top]
    side = "end" if x > PLOT_WIDTH - 80 else "middle"
    return element(
        "g",
        element("circle", class_="dot", cx=x, cy=y, r=4),
        _label(x + (6 if side == "end" else 0), y - 12, marks[top].shown, f"{side} value"),
    )


def _slot(plot: _Plot, mark: Mark, point: tuple[float, float]) -> Element:
    """A mark's whole slot reacts to the pointer: a point would be hard to hit."""
    x, y = point
    left = x - plot.slot / 2
    return element(
        "g",
        element("title", mark.told),
        element("rect", class_="slot", x=left, y=0, width=plot.slot, height=plot.bottom),
        element("circle", class_="dot hover", cx=x, cy=y, r=4),
        class_="mark",
    )
