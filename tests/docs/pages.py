"""The project's documents, taken apart: sections, tables, fenced blocks, links, commands."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "certs", "charts", "tests/images", "vault")
PAGES = sorted([*ROOT.glob("*.md"), *(p for f in FOLDERS for p in (ROOT / f).rglob("*.md"))])

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: what is written behind its opening fence, and its text."""

    page: Path
    info: str
    text: str

    def __str__(self):
        return f"{name(self.page)}: {self.text.strip().partition(chr(10))[0]}"


def name(page):
    return str(page.relative_to(ROOT))


def text(path):
    return (ROOT / path).read_text("utf-8")


def prose(page):
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


def blocks(info):
    """All fenced blocks of a kind, such as `console`."""
    return [
        Block(page, found[0].strip(), found[1])
        for page in PAGES
        for found in _FENCE.findall(page.read_text("utf-8"))
        if found[0].split()[:1] == [info]
    ]


def links(page):
    """Links that stay within the project."""
    return [link for link in _LINK.findall(prose(page)) if "://" not in link]


def anchors(page):
    """What `#...` may be appended to a link to the page, as GitHub makes it of headings."""
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose(page))]
    return {heading.strip().replace(" ", "-") for heading in plain}


def section(path, heading):
    """The text under a heading of second rank."""
    found = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", text(path), re.MULTILINE | re.DOTALL)
    assert found, f"{path} has no section {heading}"
    return found[1]


def rows(part):
    """The rows of the tables in a text: cells without backticks, head and rule left out."""
    table = [line for line in part.splitlines() if line.startswith("|")]
    cells = [[cell.strip().replace("`", "") for cell in line.split("|")[1:-1]] for line in table]
    rules = {at for at, row in enumerate(cells) if set("".join(row)) <= {"-"}}
    return [row for at, row in enumerate(cells) if at not in rules and at + 1 not in rules]


def lines(block):
    """The commands of a `console` block (after `$`) or an `sh` block, as they are written.

    A backslash at the end of a line makes one command of it and the next.
    """
    prompt = "$ " if block.info.startswith("console") else ""
    whole = block.text.replace("\\\n", " ").splitlines()
    return [line.removeprefix(prompt) for line in whole if line.startswith(prompt)]


def commands():
    """The commands in `console` and `sh` blocks, as words, with their page."""
    found = [
        (block.page, shlex.split(line, comments=True))
        for kind in ("console", "sh")
        for block in blocks(kind)
        for line in lines(block)
    ]
    return [(page, words) for page, words in found if words]


def commands_of(program):
    """The arguments with which the documents call a program."""
    return [(name(page), words[1:]) for page, words in commands() if words[0] == program]
