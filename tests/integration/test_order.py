"""R6: whatever order files are loaded in, and however often, the star is the same."""

import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from sales_api.report import Fate
from tests.support.expected_star import Delivered, expected_star
from tests.support.platform import UPLOADED, run
from tests.support.sales_file import as_csv, order, sale

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DAYS = ("2024-03-01", "2024-03-02", "2024-03-03")
SEEDS = range(20)


def row(chance):
    """A row about one of few orders, customers and products, otherwise unlike any other."""
    who, what = chance.randrange(9), chance.randrange(6)
    price = chance.randrange(100, 90_000)
    return sale(
        "short" if chance.random() < 0.05 else order(chance.randrange(40)),
        customer_email=chance.choice(["c{}@example.com", "C{}@EXAMPLE.com"]).format(who),
        customer_name=f"{chance.choice('ABCDE')}n {chance.choice('PQRST')}m",
        customer_phone=f"202-555-{chance.randrange(10_000):04}",
        product_title=f"Article {what}",
        product_rating=chance.choice(["1.5", "2", "4.25"]),
        is_best_seller=chance.choice(["True", "False"]),
        discounted_price=f"{price / 100:.2f}",
        original_price=f"{price / 50:.2f}",
        quantity=chance.randrange(0, 20),
        data_collected_at=chance.choice(DAYS),
        order_date=chance.choice(DAYS),
    )


def delivered(chance):
    """Files about the same few things; some came at the same time, one key came twice."""
    files = [
        Delivered(
            f"raw/{name}.csv",
            as_csv(row(chance) for _ in range(30)),
            UPLOADED + timedelta(minutes=chance.randrange(2)),
        )
        for name in "abcdef"
    ]
    body = as_csv(row(chance) for _ in range(30))
    return [*files, replace(files[0], body=body, modified_at=UPLOADED + timedelta(minutes=5))]


FILES = delivered(random.Random(6))


@pytest.fixture(scope="module")
def processes():
    """Two processes that load side by side."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=fresh) as pool:
        yield pool


@pytest.fixture(scope="module")
def checksums():
    """Those of all orders of this module."""
    return set()


def in_turn(sandbox, refs, chance):
    """One after the other, some delivered twice."""
    sandbox.run(sandbox.request(*refs, *chance.sample(refs, 3)))


def side_by_side(sandbox, refs, processes):
    """Half here, half there, and some in both."""
    halves = [refs[:5], refs[3:][::-1]]
    jobs = [
        processes.submit(run, sandbox.settings, sandbox.request(*half, run=f"p{number}"))
        for number, half in enumerate(halves)
    ]
    fates = [result.fate for job in jobs for result in job.result()]
    assert fates.count(Fate.LOADED) == len(refs)
    assert set(fates) <= {Fate.LOADED, Fate.ALREADY_LOADED, Fate.GONE}


def upload_again(sandbox, chance):
    """The same bytes under the same keys, and a second reading of one of them."""
    files = [file for file in FILES[1:-1] if chance.random() < 0.4]
    refs = [sandbox.put(f.key, f.body, f.modified_at + timedelta(hours=1)) for f in files]
    for result in sandbox.run(sandbox.request(*refs, run="again")):
        assert result.fate is Fate.ALREADY_LOADED
    file = chance.choice(FILES[1:-1])
    ref = sandbox.put(file.key, file.body, file.modified_at)
    sandbox.run(sandbox.request(ref, run="once-more"))
    (result,) = sandbox.run(sandbox.request(run="reading-again"), sandbox.again(ref))
    assert result.fate is Fate.LOADED


@pytest.mark.parametrize("seed", SEEDS)
def test_any_order_gives_one_star(platform, processes, checksums, seed):
    """Shuffled, repeated and in parallel: the star is the one that precedence alone decides."""
    chance = random.Random(seed)
    refs = [platform.put(file.key, file.body, file.modified_at) for file in FILES]
    chance.shuffle(refs)
    if seed % 4 == 0:
        side_by_side(platform, refs, processes)
    else:
        in_turn(platform, refs, chance)
    upload_again(platform, chance)

    assert platform.star() == expected_star(FILES, platform.pseudonym_key)
    checksums.add(platform.checksum())
    assert len(checksums) == 1
    assert platform.listing("raw/") == []
    unbalanced = "SELECT count(*) FROM ingest_object WHERE rows_read <> 30"
    assert platform.value(unbalanced) == 0


def test_the_files_disagree():
    """The files of this module leave something to decide in every part of the star."""
    mirrored = [replace(f, modified_at=UPLOADED - (f.modified_at - UPLOADED)) for f in FILES]
    key = bytes(32)
    forth, back = expected_star(FILES, key), expected_star(mirrored, key)
    assert forth.facts != back.facts
    assert forth.customers != back.customers
    assert forth.products != back.products
