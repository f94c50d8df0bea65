"""The made-up shop: its products, its customers' names and places, and when people buy.

Plain values, the same for every seed: two generated sets meet the same shop, so a second set
adds orders rather than a second catalogue. Nothing here is drawn, it is all counted out, so no
library's random numbers can change a file from one version to the next.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import accumulate

PRODUCTS = 500
DAY_SLOTS = 8192
FIRST_DAY = date(2024, 1, 1)
LAST_DAY = date(2025, 12, 31)
"""Fixed, not counted back from today: a seed must give the same bytes next year."""


@dataclass(frozen=True)
class Category:
    """One shelf of the shop; prices in whole units of money."""

    name: str
    cheapest: int
    dearest: int
    nouns: tuple[str, ...]


@dataclass(frozen=True)
class Product:
    """One article: everything about it is fixed but its rating, which drifts with each order."""

    title: str
    category: str
    price_cents: int
    rating_tenths: int
    is_best_seller: bool


CATEGORIES = (
    Category("Laptops", 349, 2499, ("Ultrabook", "Notebook", "Gaming Laptop", '14" Chromebook')),
    Category("Phones", 129, 1299, ("Smartphone", "Foldable Phone", "Rugged Phone", "Basic Phone")),
    Category("TV & Display", 99, 1999, ("OLED TV", '27" Monitor', "Projector", "Photo Frame")),
    Category("Audio", 15, 499, ("Earbuds", "Headphones", "Soundbar", "Speaker", "Turntable")),
    Category("Cameras", 59, 1899, ("Action Camera", "Webcam", "Tripod, Carbon", "Zoom Lens")),
    Category("Smart Home", 12, 299, ("Smart Plug", "Thermostat", "Doorbell", "Bulb, Pack of 4")),
    Category("Kitchen", 9, 399, ("Kettle", "Blender", "Toaster", "Air Fryer", "Knife Set, 5 pcs")),
    Category("Power & Batteries", 6, 149, ("Power Bank", "USB-C Charger", "AA Cells, 20-pack")),
    Category("Storage", 11, 449, ("SSD 1 TB", "Memory Card", "USB Stick", "NAS, 2-bay")),
    Category("Networking", 14, 379, ("Router", "Mesh Kit, 3 nodes", "Switch", "Cat-6 Cable")),
    Category(
        "Printers & Ink", 8, 359, ("Laser Printer", "Ink Set, CMYK", "Label Printer", "Toner")
    ),
    Category("Wearables", 19, 799, ("Smartwatch", "Fitness Band", "Heart-rate Strap", "GPS Watch")),
)
BRANDS = (
    *("Acorn", "Borealis", "Corvid", "Dunlin", "Ember", "Fjord", "Galena", "Harrow", "Isla"),
    *("Juniper", "Kestrel", "Lumen", "Morrow", "Nimbus", "Orrery", "Pavo", "Quill"),
)
STYLES = ("Air", "Max", "Lite", "Pro", "Mini", "Plus", "Classic", "Neo", "Studio", "Go", "Café")

FIRST_NAMES = (
    *("Ada", "Amir", "Anna", "Beatriz", "Carlos", "Chen", "Chloé", "Daniel", "Elena", "Emma"),
    *("Farah", "Felix", "Grace", "Hana", "Hugo", "Ines", "Ivan", "Jack", "James", "Jürgen"),
    *("Kofi", "Laura", "Leila", "Liam", "Lucía", "Maria", "Mateo", "Mei", "Mohammed", "Nadia"),
    *("Noah", "Olga", "Olivia", "Omar", "Priya", "Rafael", "Robert", "Sarah", "Sofia", "Søren"),
    *("Tariq", "Thomas", "Uma", "Victor", "William", "Yuki", "Zoë"),
)
LAST_NAMES = (
    *("Abe", "Adeyemi", "Ahmed", "Anderson", "Bauer", "Brown", "Chen", "Costa", "Davis", "Dubois"),
    *("Evans", "Fischer", "García", "Gómez", "Green", "Haddad", "Hall", "Hansen", "Ivanova"),
    *("Jackson", "Johansson", "Jones", "Kaya", "Khan", "Kim", "Kowalski", "Lee", "Lopez", "Martin"),
    *("Mensah", "Miller", "Moore", "Müller", "Nakamura", "Nguyen", "Novák", "O'Brien", "Okafor"),
    *("Patel", "Petrov", "Rossi", "Sato", "Schmidt", "Silva", "Singh", "Smith-Jones", "Tanaka"),
    *("Taylor", "Thompson", "van Dijk", "Walker", "White", "Williams", "Wright", "Young"),
)
MAIL_DOMAINS = ("example.com", "example.org", "example.net")
STREETS = (
    *("Alder St", "Birch Ave", "Canal Rd", "Dock Lane", "Elm St", "Foundry Way", "Garden Blvd"),
    *("High St", "Iris Court", "Juniper Dr", "King's Road", "Lake View", "Mill Lane", "North Pl"),
)
CITIES = (
    *("Ashford", "Brookhaven", "Cedar Falls", "Dunmore", "Eastvale", "Fairview", "Glenwood"),
    *("Hartley", "Ironbridge", "Kingsport", "Lakewood", "Milton", "Northfield", "Oakdale"),
)
STATES = ("AZ", "CA", "CO", "FL", "GA", "IL", "MA", "MI", "NY", "OH", "OR", "TX", "VA", "WA")

PHONE_STYLES = (
    ("", "-", "-"),
    ("(", ") ", "-"),
    ("+1-", "-", "-"),
    ("001-", "-", "-"),
    ("", ".", "."),
    ("+1 ", " ", " "),
    ("", "", ""),
)
"""What stands before the area code, after it, and before the last four digits."""

MONTH_WEIGHTS = (70, 66, 78, 84, 92, 96, 90, 88, 94, 104, 150, 188)
WEEKDAY_WEIGHTS = (96, 92, 94, 98, 112, 128, 118)
GROWTH_PER_MONTH = 3


def mail_name(name: str) -> str:
    """The name as it stands in an e-mail address: small ASCII letters only."""
    plain = unicodedata.normalize("NFKD", name.lower().replace("ø", "o"))
    return "".join(letter for letter in plain if letter.isascii() and letter.isalpha())


@cache
def catalogue() -> tuple[Product, ...]:
    """All articles, the best-selling first, the categories in turn."""
    return tuple(_product(number) for number in range(PRODUCTS))


def _product(number: int) -> Product:
    turn, shelf = divmod(number, len(CATEGORIES))
    category = CATEGORIES[shelf]
    noun = category.nouns[turn % len(category.nouns)]
    brand = BRANDS[(turn * 5 + shelf) % len(BRANDS)]
    style = STYLES[(turn * 3 + shelf) % len(STYLES)]
    spread = category.dearest - category.cheapest
    units = category.cheapest + (turn * turn * 37 + turn * 61) % spread
    return Product(
        title=f"{brand} {style} {noun}",
        category=category.name,
        price_cents=units * 100 + 99,
        rating_tenths=30 + number * 8 % 21,
        is_best_seller=turn % 9 == 0,
    )


@cache
def order_days() -> tuple[int, ...]:
    """Days after FIRST_DAY, `DAY_SLOTS` of them, each as often as people order on it."""
    totals = list(accumulate(_day_weights()))
    return tuple(
        bisect_right(totals, (2 * slot + 1) * totals[-1] // (2 * DAY_SLOTS))
        for slot in range(DAY_SLOTS)
    )


def _day_weights() -> Iterator[int]:
    """Two years: growing month by month, high before Christmas and at weekends."""
    for offset in range((LAST_DAY - FIRST_DAY).days + 1):
        day = FIRST_DAY + timedelta(days=offset)
        months = (day.year - FIRST_DAY.year) * len(MONTH_WEIGHTS) + day.month - 1
        season = MONTH_WEIGHTS[day.month - 1]
        yield season * WEEKDAY_WEIGHTS[day.weekday()] * (100 + GROWTH_PER_MONTH * months)
