"""The key of the pseudonyms is rotated: customers stay one each, whatever runs meet."""

import base64
import json
import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest

from sales_api.report import ExitCode, Fate
from sales_pipeline import migrate
from sales_pipeline.demo.platform import migrate_schema
from sales_pipeline.errors import ConfigurationError
from tests.integration.test_exactly_once import held, until_waiting
from tests.integration.test_kills import SIGKILL
from tests.integration.test_order import DAYS, row
from tests.integration.test_roles import connect
from tests.support.canary import Canary, places, sightings
from tests.support.checksum import ORPHANS
from tests.support.command import command
from tests.support.expected_star import Delivered, expected_star
from tests.support.keys import KEYS, as_of_first_key, keyed, with_keys
from tests.support.killer import ROTATION
from tests.support.platform import UPLOADED, run
from tests.support.sales_file import as_csv, order, sale

pytestmark = pytest.mark.integration

EMAILS = [f"c{n}@example.com" for n in range(9)]
OLD = (1,)
NEW = (2, 1)
NEWEST = (3, 2, 1)
SEEDS = range(12)
CHANCE = random.Random(14)
FILES = [
    Delivered(
        f"raw/{name}.csv",
        as_csv(row(CHANCE) for _ in range(5)),
        UPLOADED + timedelta(minutes=CHANCE.randrange(2)),
    )
    for name in "abcdefgh"
]
"""Few rows each: most customers are in some of them, and whoever is in one may not come back."""


def orders(first, customers, **row):
    """A file of one order of each of these customers."""
    return as_csv(sale(order(first + n), customer_email=EMAILS[n], **row) for n in customers)


def load(sandbox, key, body):
    """Load one object."""
    (result,) = sandbox.run(sandbox.request(sandbox.put(key, body)))
    assert result.fate is Fate.LOADED


def versions(sandbox):
    """How many customers show a pseudonym of which key."""
    counted = "SELECT key_version, count(*)::int FROM dim_customer GROUP BY 1"
    return dict(sandbox.query(counted))


def ids(sandbox):
    """Each customer's row, whatever pseudonym it shows."""
    owners = {keyed(email, v): email for email in EMAILS for v in KEYS}
    found = sandbox.query("SELECT email_hash, customer_id FROM dim_customer")
    assert len({owners[name] for name, _ in found}) == len(found), "a customer has two rows"
    return {owners[name]: number for name, number in found}


def forget(sandbox, version):
    """What the owner does to let a key go."""
    statement = "UPDATE pseudonym_key SET needed = false WHERE key_version = %s"
    with closing(connect(sandbox.owner)) as owner:
        owner.execute(statement, [version])


@pytest.fixture
def keys(platform, tmp_path):
    """The platform with a secret that has these keys."""
    return lambda newest, *earlier: with_keys(platform, tmp_path, newest, *earlier)


class TestRotation:
    def test_customers_keep_their_rows(self, keys, platform):
        """Who comes back shows the new pseudonym in the old row, who does not stays as before."""
        load(keys(*OLD), "raw/a.csv", orders(0, range(6)))
        before = ids(platform)
        load(keys(*NEW), "raw/b.csv", orders(10, range(4, 9)))

        assert versions(platform) == {1: 4, 2: 5}
        assert ids(platform).items() >= before.items()
        of_c4 = "SELECT count(*) FROM fact_sales WHERE customer_id = %s"
        assert platform.value(of_c4, [before[EMAILS[4]]]) == 2
        assert platform.value("SELECT count(*) FROM customer_alias WHERE key_version = 1") == 5

    def test_a_run_with_the_old_key_that_ends_last(self, keys, platform):
        """It read its secret before the rotation, and finds customers that the new key brought."""
        late = platform.put("raw/late.csv", orders(0, range(9)))
        with ThreadPoolExecutor(1) as pool:
            with held(platform, late.key):
                waiting = pool.submit(keys(*OLD).run, platform.request(late))
                until_waiting(platform, 1)
                load(keys(*NEW), "raw/new.csv", orders(10, range(6)))
                before = ids(platform)
            waiting.result()

        assert ids(platform).items() >= before.items()
        assert len(ids(platform)) == 9

    def test_a_rotation_that_is_taken_back(self, keys, platform):
        """And made again: runs with either key see the same customers, new ones included."""
        for number, secret in enumerate([OLD, NEW, OLD, NEW, OLD]):
            load(keys(*secret), f"raw/{number}.csv", orders(10 * number, range(number, 9)))
            load(keys(*secret), f"raw/{number}-.csv", orders(10 * number, range(number + 1)))
        assert len(ids(platform)) == 9
        assert platform.value(ORPHANS) == 0
        assert platform.value("SELECT count(*) FROM fact_sales") > 9

    def test_customers_without_an_address(self, keys, platform):
        """What a contract's customer key makes of them is found again in the same way."""
        spec = {"contract": {"customerKey": ["customer_name"], "unknownColumns": "Ignore"}}
        for number, secret in enumerate([OLD, NEW, OLD]):
            ref = platform.put(f"raw/{number}.csv", orders(10 * number, range(3)))
            keys(*secret).run(platform.request(ref, **spec))
        assert platform.value("SELECT count(*) FROM dim_customer") == 1
        assert platform.value("SELECT count(*) FROM fact_sales") == 9

    def test_reading_the_archive_again_rekeys_everybody(self, keys, platform):
        """The originals still have the addresses."""
        load(keys(*OLD), "raw/a.csv", orders(0, range(9)))
        before = platform.star()
        rotated = keys(*NEW)
        environ = rotated.environ(rotated.request(run="r2"))
        assert command("reprocess", "--prefix", "raw/", environ=environ).code == ExitCode.DONE
        assert versions(platform) == {2: 9}
        assert as_of_first_key(platform.star(), EMAILS) == as_of_first_key(before, EMAILS)

    def test_pseudonyms_without_a_key_know_nothing_of_it(self, keys, platform):
        """Neither which key there is, nor that another was used before."""
        sha256 = {"privacy": {"email": "Sha256"}}
        for number, secret in enumerate([OLD, (2,), (1,)]):
            ref = platform.put(f"raw/{number}.csv", orders(10 * number, range(3)))
            keys(*secret).run(platform.request(ref, **sha256))
        assert platform.value("SELECT count(*) FROM dim_customer") == 3
        assert platform.value("SELECT count(*) FROM pseudonym_key") == 0


class TestRefusal:
    @pytest.mark.parametrize("secret", [(2,), (3, 2)])
    def test_rotated_without_the_earlier_key(self, keys, platform, secret):
        """The customers would be split: nothing is touched, and the mended secret does it."""
        load(keys(*OLD), "raw/a.csv", orders(0, range(3)))
        star = platform.checksum()
        rejected = orders(20, range(1), quantity=0).split(b"\n", 1)[1]
        ref = platform.put("raw/b.csv", orders(10, range(3)) + rejected)
        with pytest.raises(ConfigurationError) as refused:
            keys(*secret).run(platform.request(ref))

        assert refused.value.code == "pseudonym.key_missing"
        assert platform.checksum() == star
        assert [key for key in platform.listing() if "b." in key] == [ref.key]
        assert platform.query("SELECT key_version FROM pseudonym_key") == [(1,)]
        (result,) = keys(*secret, 1).sweep()
        assert result.fate is Fate.LOADED
        assert len(ids(platform)) == 3

    def test_another_key_under_the_same_version(self, keys, platform):
        """As a program at its end tells it: a human must act."""
        load(keys(*OLD), "raw/a.csv", orders(0, range(3)))
        other = keys(1)
        path = other.settings.credentials_dir / "pseudonym"
        text = json.loads(path.read_text())["key"]
        path.write_text(json.dumps({"key": text[::-1].lstrip("=") + "=", "key_version": 1}))
        request = other.request(platform.put("raw/b.csv", orders(10, range(3))))

        ended = command("run", environ=other.environ(request))
        assert ended.code == ExitCode.CONFIGURATION
        assert "[pseudonym.key_changed]" in ended.last_words
        assert platform.value("SELECT count(*) FROM dim_customer") == 3


class TestLettingGo:
    def test_who_is_split_is_joined_once_both_keys_are_there(self, keys, platform):
        """Sales come to one row, and it says what the record of greatest precedence said."""
        load(keys(*OLD), "raw/a.csv", orders(0, range(6), data_collected_at="2024-03-02"))
        forget(platform, 1)
        load(keys(2), "raw/b.csv", orders(10, range(3), customer_name="B"))
        late = {"customer_name": "C", "data_collected_at": "2024-03-03"}
        load(keys(2), "raw/c.csv", orders(20, range(3, 5), **late))
        assert platform.value("SELECT count(*) FROM dim_customer") == 11

        load(keys(*NEWEST), "raw/d.csv", orders(30, range(6), customer_name="D"))
        assert len(ids(platform)) == 6
        assert platform.value(ORPHANS) == 0
        names = "SELECT email_hash, customer_name FROM dim_customer"
        assert dict(platform.query(names)) == {
            keyed(email, 3): name
            for email, name in zip(EMAILS, ["A.K.L."] * 3 + ["C."] * 2 + ["A.K.L."], strict=False)
        }
        counted = "SELECT count(*) FROM fact_sales GROUP BY customer_id ORDER BY 1"
        assert platform.query(counted) == [(2,), *[(3,)] * 5]

    @pytest.mark.parametrize("both", [NEW, (3, 1)], ids=str)
    @pytest.mark.parametrize("day", ["2024-02-01", "2024-04-01"])
    def test_all_names_of_a_joined_customer_go_along(self, keys, platform, both, day):
        """Whichever row is kept, and whichever single key a later run has, it finds that row."""
        load(keys(*OLD), "raw/a.csv", orders(0, range(2), data_collected_at=day))
        forget(platform, 1)
        load(keys(3, 2), "raw/b.csv", orders(10, range(2)))
        forget(platform, 2)
        load(keys(*both), "raw/c.csv", orders(20, range(2), data_collected_at="2024-01-01"))
        before = ids(platform)
        for number, version in enumerate((3, 2, 1, 3)):
            load(keys(version), f"raw/{number}.csv", orders(30, range(2)))
            assert ids(platform) == before


class TestRights:
    @pytest.mark.parametrize("table", ["pseudonym_key", "customer_alias"])
    def test_dashboards_see_nothing_of_it(self, platform, table):
        options = "-c search_path=sales"
        with (
            psycopg.connect(platform.reader_dsn, options=options) as reader,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            reader.execute(f"SELECT * FROM {table}")

    @pytest.mark.parametrize(
        "statement",
        ["UPDATE pseudonym_key SET needed = false", "DELETE FROM pseudonym_key",
         "TRUNCATE pseudonym_key"],
    )  # fmt: skip
    def test_only_the_owner_lets_a_key_go(self, platform, statement):
        with (
            closing(connect(platform.settings)) as loader,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            loader.execute(statement)


def test_nobody_is_given_away_by_a_rotation(keys, platform):
    """Neither a person nor a key is anywhere: rows, aliases, check values, logs of the servers."""
    for number, secret in enumerate([(1,), (2,), NEWEST, OLD]):
        people = (Canary(n).as_columns() for n in range(9))
        rows = [sale(order(10 * number + n), **one) for n, one in enumerate(people)]
        load(keys(*secret), f"raw/{number}.csv", as_csv(rows))
        forget(platform, 1)
    found = places(platform)
    assert found["table sales.customer_alias"].count(b"\n") >= 9
    assert sightings(found) == []
    for key in KEYS.values():
        spellings = (key, key.hex().encode(), base64.b64encode(key).rstrip(b"="))
        assert [p for p, text in found.items() if any(s in text for s in spellings)] == []


def test_a_warehouse_of_before_is_migrated(installation, tmp_path, monkeypatch):
    """Customers that were loaded before there was anything to rotate keep their rows."""
    every = list(migrate.migrations())
    with installation.sandbox(migrated=False) as sandbox:
        monkeypatch.setattr(migrate, "migrations", lambda: every[:2])
        migrate_schema(sandbox.owner)
        sandbox.query(
            "INSERT INTO dim_customer (email_hash, key_version, phone_redacted, address_redacted,"
            " data_collected_at, object_id, row_number) VALUES (%s, 1, '', '', '2024-01-01', 0, 1)",
            [keyed(EMAILS[0], 1)],
        )
        before = ids(sandbox)
        monkeypatch.setattr(migrate, "migrations", lambda: every)
        assert migrate_schema(sandbox.owner) == [m.name for m in every[2:]]
        assert migrate_schema(sandbox.owner) == []

        load(with_keys(sandbox, tmp_path, *NEW), "raw/a.csv", orders(0, range(2)))
        assert ids(sandbox).items() >= before.items()
        assert versions(sandbox) == {2: 2}


# --- any order ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def processes():
    """Two processes that load side by side."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=fresh) as pool:
        yield pool


def side_by_side(keys, refs, secrets, processes):
    """Half in one process, half in the other, with keys of their own."""
    jobs = [
        processes.submit(run, made.settings, made.request(*half, run=f"p{number}"))
        for number, half in enumerate([refs[:4], refs[4:]])
        for made in [keys(*secrets[number])]
    ]
    assert {result.fate for job in jobs for result in job.result()} == {Fate.LOADED}


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_any_order_of_files_and_keys_gives_one_star(platform, keys, processes, seed):
    """In turn or side by side, with one key, two or three: the star is that of one key alone."""
    chance = random.Random(seed)
    refs = [platform.put(one.key, one.body, one.modified_at) for one in FILES]
    secrets = [chance.choice([OLD, NEW, NEWEST]) for _ in refs]
    chance.shuffle(refs)
    if seed % 3 == 0:
        side_by_side(keys, refs, secrets, processes)
    else:
        for ref, secret in zip(refs, secrets, strict=True):
            keys(*secret).run(platform.request(ref, ref))

    expected = expected_star(FILES, KEYS[1])
    assert as_of_first_key(platform.star(), EMAILS) == expected
    assert platform.value(ORPHANS) == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_customers_split_in_any_way_end_as_one(platform, keys, seed):
    """Keys that have nothing in common, until every customer comes back to a run with all."""
    chance = random.Random(seed)
    for one in chance.sample(FILES, len(FILES)):
        ref = platform.put(one.key, one.body, one.modified_at)
        keys(*chance.choice([(1,), (2,), (3,), (2, 1), (3, 2), (3, 1)])).run(platform.request(ref))
        for version in KEYS:
            forget(platform, version)
    last = Delivered(
        "raw/last.csv",
        orders(100, range(9), data_collected_at=DAYS[0], is_best_seller="True"),
        UPLOADED,
    )
    load(keys(*NEWEST), last.key, last.body)

    assert versions(platform) == {3: 9}
    assert as_of_first_key(platform.star(), EMAILS) == expected_star([*FILES, last], KEYS[1])
    assert platform.value(ORPHANS) == 0


# --- killed -------------------------------------------------------------------------------------


def split(sandbox, folder):
    """Some customers of the first key, some of the second, some of both; a file of all waits."""
    made = {secret: with_keys(sandbox, folder, *secret) for secret in [(1,), (2,), NEWEST]}
    load(made[1,], "raw/a.csv", orders(0, range(6)))
    forget(sandbox, 1)
    load(made[2,], "raw/b.csv", orders(10, range(3, 8), quantity=3))
    return made[NEWEST], sandbox.put("raw/c.csv", orders(20, range(9), quantity=4))


@pytest.fixture(scope="module")
def calm(installation, tmp_path_factory):
    """The star before and after the rotation, without any disturbance."""
    with installation.sandbox() as sandbox:
        rotated, ref = split(sandbox, tmp_path_factory.mktemp("calm"))
        before = sandbox.checksum()
        rotated.run(rotated.request(ref))
        assert versions(sandbox) == {3: 9}
        return before, sandbox.checksum()


@pytest.mark.slow
@pytest.mark.parametrize("point", ROTATION)
def test_killed_while_customers_get_new_pseudonyms(platform, calm, tmp_path, point):
    """All of them have, or none has; the next run completes it."""
    before, after = calm
    rotated, ref = split(platform, tmp_path)
    request = rotated.request(ref)
    ended = rotated.spawn(
        "tests.support.killer", point, "--", "run", environ=rotated.environ(request)
    )
    assert ended.returncode == SIGKILL, ended.stderr
    assert platform.checksum() == (after if point == "after the rotated commit" else before)

    rotated.run(request)
    assert platform.checksum() == after
    assert len(ids(platform)) == 9
    assert platform.value(ORPHANS) == 0
