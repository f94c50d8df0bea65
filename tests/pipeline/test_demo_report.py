"""The demo's report is one safe, self-contained page, and its charts tell the truth."""

import io
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sales_pipeline.demo import charts
from sales_pipeline.demo.charts import Caption, Mark, Scale, compact, ticks
from sales_pipeline.demo.checks import check_all
from sales_pipeline.demo.figures import BY_CATEGORY, BY_MONTH, Product, query
from sales_pipeline.demo.markup import document, element
from sales_pipeline.demo.narrate import Narrator
from sales_pipeline.demo.report import render
from tests.support.demo_outcome import EMPTY, FIGURES, outcome
from tests.support.web import Page, drawings

ABOUT = Caption("c", "A title", "A description")
VALUES = st.floats(0.01, 1e12)


def rendered(**changes):
    made = outcome(**changes)
    return render(made, check_all(made))


def parts(svg, tag, kind):
    """The elements of a tag that have a class among theirs."""
    return [e for e in svg.iter(tag) if kind in e.get("class", "").split()]


def number(part, name):
    return float(part.get(name))


class TestPage:
    def test_is_well_formed(self):
        """Every tag is closed in its turn and no id comes twice."""
        assert Page(rendered()).ids

    def test_needs_nothing_from_outside(self):
        """Neither the page nor its style names an address, a script or a file."""
        page = rendered()
        tags = {tag for tag, _ in Page(page).tags}
        assert not tags & {"script", "link", "img", "iframe", "object", "image", "use", "a"}
        for word in ("://", "url(", "@import", "src=", "href=", "javascript:", " onload"):
            assert word not in page

    def test_forbids_what_it_does_not_need(self):
        """A browser is told to fetch nothing at all."""
        assert "default-src 'none'; style-src 'unsafe-inline'" in Page(rendered()).attributes(
            "content"
        )

    def test_has_a_dark_form(self):
        """The style follows the reader's choice of light or dark."""
        assert "@media (prefers-color-scheme: dark)" in rendered()

    def test_tells_the_sums(self):
        """The equation of rows, the sums of money and the second delivery are on the page."""
        text = Page(rendered()).text
        assert "2,000 rows generated = 1,992 loaded + 8 rejected + 0 deduplicated" in text
        for fact in ("The books balance", "10,000.50", "400", "Already loaded", "3.2 s", "seed 1"):
            assert fact in text

    def test_tells_why_a_file_is_in_quarantine(self):
        """The broken file's reason and code stand beside it."""
        assert "the gzip data is damaged or cut off [file.compression]" in Page(rendered()).text

    def test_shows_both_queries_as_they_were_run(self):
        """The two example queries are on the page to the letter."""
        page = Page(rendered())
        for name in (BY_CATEGORY, BY_MONTH):
            assert query(name) in page.texts

    def test_failed_check_is_not_overlooked(self):
        """Where the sums differ the page says so first, with both numbers."""
        broken = replace(FIGURES, audit=replace(FIGURES.audit, facts=1993))
        text = Page(rendered(figures=broken)).text
        assert "1 of 8 checks failed" in text
        assert "Does not hold: Nothing was loaded twice" in text
        assert "1,993 facts from 1,992 good rows" in text
        assert "The books balance" not in text

    def test_lost_row_breaks_the_equation(self):
        """Where a row is lost nothing is said to be equal."""
        (first, second) = outcome().sales
        lost = replace(second, rows=second.rows.model_copy(update={"loaded": 995}))
        assert "2,000 rows generated, but 1,991 loaded" in Page(rendered(sales=(first, lost))).text

    def test_empty_warehouse_gives_a_page(self):
        """With nothing loaded at all every chart says that there is nothing to show."""
        page = rendered(figures=EMPTY)
        assert Page(page).text.count("Nothing to show") == len(drawings(page)) == 5

    @pytest.mark.parametrize(
        "title",
        [
            "<script>alert(1)</script>",
            "</title></svg></style><img src=x onerror=alert(1)>",
            "\"'><b>",
            "&lt;b&gt;&amp;",
        ],
    )
    def test_hostile_title_stays_a_text(self, title):
        """Whatever stands in a product's title is shown, and is never markup."""
        harmless, hostile = rendered(), Product(title, "A & B", FIGURES.revenue, 1)
        page = rendered(figures=replace(FIGURES, products=(hostile, *FIGURES.products[1:])))
        assert [tag for tag, _ in Page(page).tags] == [tag for tag, _ in Page(harmless).tags]
        assert title in Page(page).texts
        assert len(drawings(page)) == 5


class TestDrawings:
    def test_each_is_named_and_described(self):
        """Each chart has a role, a title and a description that its label refers to."""
        for svg in drawings(rendered()):
            ids = {e.get("id"): e for e in svg if e.tag in ("title", "desc")}
            assert svg.get("role") == "img"
            assert list(ids) == svg.get("aria-labelledby").split()
            assert all(e.text for e in ids.values())

    def test_each_mark_tells_its_value(self):
        """A pointer on a mark brings label, value and what else is known."""
        told = [e.text for svg in drawings(rendered()) for e in svg.iterfind("g/title")]
        assert "Nov 2024: 4 k" in told
        assert "TV & Display: 1 k (4 units)" in told
        assert "row.malformed: 2 of 2" in told

    def test_bars_are_as_long_as_their_values(self):
        """Bars start at one line and their lengths are in proportion to the values."""
        svg = charts.horizontal_bars(ABOUT, [Mark("a", 100, "100"), Mark("b", 25, "25")])
        long, short = parts(svg, "rect", "accent")
        assert number(long, "x") == number(short, "x")
        assert number(short, "width") == pytest.approx(number(long, "width") / 4, abs=0.1)

    def test_value_fits_beside_the_longest_bar(self):
        """The value at the end of the longest bar is within the drawing."""
        marks = [Mark("a label", 5, "1,234,567 of 1,234,567")]
        svg = charts.horizontal_bars(ABOUT, marks)
        (label,) = parts(svg, "text", "value")
        room = number(svg, "width") - number(label, "x")
        assert room >= len(marks[0].shown) * charts.LETTER_WIDTH

    def test_long_label_is_cut_but_told_in_full(self):
        """A label too long for its room ends with dots; the hint has all of it."""
        svg = charts.horizontal_bars(ABOUT, [Mark("word " * 40, 1, "1")])
        (label,) = parts(svg, "text", "end")
        assert label.text.endswith("word…")
        assert svg.find("g/title").text == f"{'word ' * 40}: 1"

    def test_loss_hangs_below_zero(self):
        """A negative column begins at the zero line, points down and has a colour of its own."""
        svg = charts.columns(ABOUT, [Mark("a", 30, "30"), Mark("b", -10, "-10")])
        (gain,), (loss,) = parts(svg, "rect", "gain"), parts(svg, "rect", "loss")
        (zero,) = (number(axis, "y1") for axis in parts(svg, "line", "axis"))
        assert number(gain, "y") + number(gain, "height") == pytest.approx(zero, abs=0.1)
        assert number(loss, "y") == pytest.approx(zero, abs=0.1)
        assert number(gain, "height") == pytest.approx(3 * number(loss, "height"), abs=0.3)

    def test_line_and_columns_line_up(self):
        """A month's point is over the middle of the same month's column."""
        marks = [Mark(str(n), n, str(n)) for n in range(1, 8)]
        points = [number(e, "cx") for e in parts(charts.line(ABOUT, marks), "circle", "hover")]
        bars = parts(charts.columns(ABOUT, marks), "rect", "gain")
        middles = [number(bar, "x") + number(bar, "width") / 2 for bar in bars]
        assert points == pytest.approx(middles, abs=0.1)

    def test_highest_point_is_named(self):
        """The peak alone has its value written at it."""
        svg = charts.line(ABOUT, [Mark("a", 1, "one"), Mark("b", 9, "nine"), Mark("c", 5, "five")])
        assert [e.text for e in parts(svg, "text", "value")] == ["nine"]

    @pytest.mark.parametrize("draw", [charts.line, charts.columns])
    @pytest.mark.parametrize("values", [[7], [0], [0, 0], [-5, -6]])
    def test_odd_sets_are_drawn(self, draw, values):
        """One value, zeros and nothing but losses stay within the drawing."""
        svg = draw(ABOUT, [Mark("x", value, str(value)) for value in values])
        assert len(svg.findall("g[@class='mark']")) == len(values)
        heights = [number(e, name) for e in svg.iter() for name in ("y", "y1", "cy") if e.get(name)]
        assert all(-1 <= height <= number(svg, "height") for height in heights)

    def test_many_labels_are_thinned_out(self):
        """Fifty months get no more labels than there is room for, the first among them."""
        svg = charts.columns(ABOUT, [Mark(f"m{n}", 1, "1") for n in range(50)])
        labels = [e.text for e in parts(svg, "text", "middle")]
        assert labels[0] == "m0"
        assert len(labels) <= charts.MAX_LABELS

    @given(VALUES | st.just(0.0), VALUES | st.just(0.0), st.integers(2, 8))
    def test_ticks_are_round_and_within(self, high, loss, about):
        """Ticks are few, evenly apart, within the values and have zero among them."""
        made = ticks(-loss, high, about)
        assert 0 in made
        assert len(made) <= about + 2
        assert all(-loss * (1 + 1e-6) <= tick <= high * (1 + 1e-6) for tick in made)
        steps = {f"{b - a:.5e}" for a, b in pairwise(made)}
        assert len(steps) <= 1
        assert {step[:7] for step in steps} <= {"1.00000", "2.00000", "2.50000", "5.00000"}

    def test_scale_maps_ends_to_ends(self):
        """The lowest value lies at the start, the highest at the end."""
        scale = Scale(-10, 30, 200, 0)
        assert (scale(-10), scale(30), scale(0)) == (200, 0, 150)

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (0, "0"),
            (999, "999"),
            (999.6, "1 k"),
            (1234, "1.23 k"),
            (-45_600, "-45.6 k"),
            (999_600, "1 M"),
            (15_741_655, "15.7 M"),
            (2.5e9, "2.5 G"),
        ],
    )
    def test_compact_numbers(self, value, text):
        """Three digits and a unit, never a thousand of the smaller unit."""
        assert compact(value) == text


class TestMarkup:
    def test_texts_and_attributes_are_escaped(self):
        """Neither a text nor an attribute can end what it stands in."""
        page = document(element("p", 'a<b>&"', element("i", 1), "</p>", title='"><x>'))
        (paragraph, _) = Page(page).tags
        assert paragraph == ("p", {"title": '"><x>'})
        assert Page(page).text == 'a<b>&" 1 </p>'

    def test_what_no_document_may_hold_is_marked(self):
        """Control characters and half characters come out as the replacement character."""
        assert element("p", "a\0b\x1bc\ud800d\ufffee").text == "a�b�c�d�e"

    def test_names_of_attributes(self):
        """Underscores stand for hyphens, a last one for nothing, None leaves it out."""
        made = element("p", class_="x", aria_label="y", id=None, width=1.25, rows=2)
        assert made.attrib == {"class": "x", "aria-label": "y", "width": "1.2", "rows": "2"}


class TestNarration:
    def told(self, **changes):
        """The lines told of an outcome, each as its cells."""
        made, console = outcome(**changes), Console(file=io.StringIO(), width=160)
        Narrator(console).outcome(made, check_all(made))
        return [re.split(r" {2,}", line.strip()) for line in console.file.getvalue().splitlines()]

    @pytest.mark.parametrize(
        "cells",
        [
            ["raw/sales-1.csv", "Loaded", "1,000", "996", "4", "0", "0.25"],
            ["customer_email.format", "6", "6"],
            ["TV & Display", "1,000.00", "4", "-50.00"],
            ["2024", "12", "6,000.50", "800.25"],
            ["✓ Every object went to its final place: 0 left in the inbox"],
        ],
    )
    def test_tells_fates_codes_answers_and_checks(self, cells):
        """Objects, rejects, both queries' answers and the checks each have a line."""
        assert cells in self.told()

    def test_marks_what_does_not_hold(self):
        """A check that fails has another mark than the others."""
        marked = [line for (line, *_) in self.told(waiting=3) if line.startswith("✗")]
        assert marked == ["✗ Every object went to its final place: 3 left in the inbox"]
