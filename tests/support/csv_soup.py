"""Text that is CSV, or nearly: strategies for hypothesis."""

import csv
import io

from hypothesis import strategies as st

ALPHABET = 'ab1 ,;"\n\r\t\x00\x1c\x85\xa0\u2028\ufeffé中𝄞'
cells = st.text(ALPHABET, max_size=6)

TOKENS = [
    *(",", '"', '""', "\n", "\r\n", "a", "1", " ", "é", ",,"),
    *('","', ',"', '",', '"\n', '\n"', 'x","y\n', '"a,b"', '"a\nb"', '"a""b"', "a,b\n", "\n\n"),
]
soup = st.lists(st.sampled_from(TOKENS), max_size=40).map("".join)
"""Delimiters, quotes and line ends in any order; no carriage return but in CRLF."""


@st.composite
def tables(draw, elements=cells, max_rows=12):
    """Rows of one width, from 1 to 4 cells."""
    width = draw(st.integers(1, 4))
    row = st.lists(elements, min_size=width, max_size=width)
    return draw(st.lists(row, max_size=max_rows))


def written(rows, *, delimiter=",", quoting=csv.QUOTE_ALL, eol="\n", last_eol=True) -> str:
    """The rows as the csv module writes them."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=eol).writerows(rows)
    text = out.getvalue()
    return text if last_eol else text.removesuffix(eol)


@st.composite
def files(draw, elements=cells, max_rows=12):
    """Rows, and a regular text that holds them."""
    rows = draw(tables(elements, max_rows))
    eol = draw(st.sampled_from(["\n", "\r\n"]))
    # With plain line feeds the csv module leaves a lone carriage return bare, which is irregular.
    minimal = [csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC] if eol == "\r\n" else []
    quoting = draw(st.sampled_from([csv.QUOTE_ALL, *minimal]))
    return rows, written(rows, quoting=quoting, eol=eol, last_eol=draw(st.booleans()))
