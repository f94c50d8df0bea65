"""What is kept and what is issued, decided at a moment that the test chooses."""

import pytest

from certs.authority import make_authority, sign
from certs.errors import CertsError
from certs.health import Health, age, days_left, health
from certs.pair import Damaged, Pair
from certs.plan import Wanted, make_plan
from tests.certs.making import ALL_NAMES, DAY, NAMES, NOW, WANTED, found, fresh

KEPT = dict.fromkeys(NAMES)
FOREVER = 10 * 366 * DAY


def plan(tmp_path, authority, leaves, at=NOW, *, bundle=None, **wishes):
    wanted = Wanted(**{"names": WANTED.names, **wishes})
    return make_plan(found(tmp_path, authority, leaves, bundle), wanted, at)


def reasons(made):
    return {step.name: step.why for step in made.leaves}


@pytest.fixture(scope="module")
def issued():
    return fresh()


# --- certificates of services -------------------------------------------------------------------


def test_what_is_good_is_kept(tmp_path, issued):
    made = plan(tmp_path, *issued)
    assert made.authority.why is None
    assert reasons(made) == KEPT


def test_in_an_empty_folder_everything_is_missing(tmp_path):
    made = plan(tmp_path, None, {}, bundle=[])
    assert made.authority.why == "missing"
    assert reasons(made) == dict.fromkeys(NAMES, "missing")
    assert made.trusted == ()


@pytest.mark.parametrize(
    ("days", "why"), [(0, None), (59, None), (61, "due"), (89, "due"), (91, "expired")]
)
def test_renewed_once_less_than_a_third_of_its_life_is_left(tmp_path, issued, days, why):
    made = plan(tmp_path, *issued, NOW + days * DAY)
    assert reasons(made) == dict.fromkeys(NAMES, why)
    assert made.authority.why is None


def test_only_what_is_due_is_renewed(tmp_path, issued):
    authority, leaves = issued
    short = sign(authority, "vault", WANTED.names["vault"], NOW, 10)
    made = plan(tmp_path, authority, leaves | {"vault": short}, NOW + 8 * DAY)
    assert reasons(made) == KEPT | {"vault": "due"}


def test_the_clock_was_wrong_when_it_was_issued(tmp_path, issued):
    authority, leaves = issued
    early = sign(authority, "vault", WANTED.names["vault"], NOW + DAY, 90)
    made = plan(tmp_path, authority, leaves | {"vault": early})
    assert reasons(made) == KEPT | {"vault": "not valid yet"}


def test_more_names_or_fewer_make_it_anew_but_not_another_order(tmp_path, issued):
    authority, leaves = issued
    names = {
        **WANTED.names,
        "minio": WANTED.names["minio"][:-1],
        "vault": (*WANTED.names["vault"], "minio"),
        "metabase": WANTED.names["metabase"][::-1],
    }
    made = plan(tmp_path, authority, leaves, names=names)
    assert reasons(made) == KEPT | dict.fromkeys(["minio", "vault"], "other names are wanted")


def test_what_is_damaged_is_replaced_and_told_why(tmp_path, issued):
    authority, leaves = issued
    made = plan(tmp_path, authority, leaves | {"minio": Damaged("its key is encrypted")})
    assert reasons(made) == KEPT | {"minio": "damaged: its key is encrypted"}


def test_what_another_ca_signed_is_replaced(tmp_path, issued):
    authority, leaves = issued
    _, foreign = fresh()
    made = plan(tmp_path, authority, leaves | {"minio": foreign["minio"]})
    assert reasons(made) == KEPT | {"minio": "untrusted"}


def test_a_ca_of_the_same_name_but_another_key_does_not_count(tmp_path, issued):
    authority, leaves = issued
    twin = Pair(authority.certificate, make_authority(ALL_NAMES, NOW).key)
    forged = sign(twin, "minio", WANTED.names["minio"], NOW, 90)
    made = plan(tmp_path, authority, leaves | {"minio": forged})
    assert reasons(made) == KEPT | {"minio": "untrusted"}


def test_renew_renews_the_services_and_keeps_the_ca(tmp_path, issued):
    made = plan(tmp_path, *issued, renew=True)
    assert made.authority.why is None
    assert reasons(made) == dict.fromkeys(NAMES, "asked for")


# --- the CA -------------------------------------------------------------------------------------


def test_a_new_ca_leaves_the_old_one_trusted_and_its_certificates_in_place(tmp_path, issued):
    authority, leaves = issued
    made = plan(tmp_path, authority, leaves, renew_authority=True)
    assert made.authority.why == "asked for"
    assert reasons(made) == KEPT
    assert made.trusted == (authority.certificate,)


def test_a_former_ca_is_trusted_until_it_expires(tmp_path, issued):
    former, leaves = issued
    later = former.certificate.not_valid_after_utc - 30 * DAY
    authority = make_authority(ALL_NAMES, later)
    bundle = [authority.certificate, former.certificate]
    leaves = {name: sign(former, name, WANTED.names[name], later, 90) for name in leaves}

    before = plan(tmp_path, authority, leaves, later + DAY, bundle=bundle)
    assert before.trusted == tuple(bundle)
    assert reasons(before) == KEPT

    after = plan(tmp_path, authority, leaves, later + 31 * DAY, bundle=bundle)
    assert after.trusted == (authority.certificate,)
    assert reasons(after) == dict.fromkeys(NAMES, "untrusted")


def test_the_ca_that_signs_is_trusted_even_if_the_bundle_lacks_it(tmp_path, issued):
    """As after a run that was cut off, or when somebody has put in a CA of his own."""
    former, leaves = issued
    own = make_authority(ALL_NAMES, NOW)
    made = plan(tmp_path, own, leaves, bundle=[former.certificate])
    assert made.trusted == (own.certificate, former.certificate)
    assert reasons(made) == KEPT


@pytest.mark.parametrize(
    ("authority", "at", "told"),
    [
        pytest.param(None, NOW, "the file is missing", id="missing"),
        pytest.param(Damaged("its key is encrypted"), NOW, "key is encrypted", id="damaged"),
        pytest.param("good", NOW + FOREVER, "it expired on 2035-12-30", id="expired"),
        pytest.param("good", NOW - DAY, "not valid before 2026-01-01 11:55 UTC", id="early"),
        pytest.param("leaf", NOW, "make it no CA", id="no CA"),
    ],
)
def test_a_ca_that_cannot_be_used_is_replaced_only_when_told_to(
    tmp_path, issued, authority, at, told
):
    good, leaves = issued
    authority = {"good": good, "leaf": leaves["minio"]}.get(authority, authority)
    with pytest.raises(CertsError) as caught:
        plan(tmp_path, authority, leaves, at, bundle=[good.certificate])
    assert told in caught.value.what
    assert caught.value.where == str(tmp_path / "ca.pem")
    assert "--renew-ca" in caught.value.mend

    made = plan(tmp_path, authority, leaves, at, bundle=[good.certificate], renew_authority=True)
    assert made.authority.why == "asked for"


def test_names_that_the_ca_may_not_sign_for_are_told(tmp_path, issued):
    names = WANTED.names | {"metabase": (*WANTED.names["metabase"], "bi.example.org")}
    with pytest.raises(CertsError, match=r"don't permit bi\.example\.org\. .*--renew-ca"):
        plan(tmp_path, *issued, names=names)
    made = plan(tmp_path, *issued, names=names, renew_authority=True)
    assert reasons(made) == KEPT | {"metabase": "other names are wanted"}


# --- health -------------------------------------------------------------------------------------


def test_age_turns_exactly_where_it_says(issued):
    certificate = issued[1]["minio"].certificate
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    third, second = (end - begin) / 3, DAY / 86400
    turns = {
        begin - second: Health.EARLY,
        begin: Health.OK,
        end - third: Health.OK,
        end - third + second: Health.DUE,
        end: Health.DUE,
        end + second: Health.EXPIRED,
    }
    assert {moment: age(certificate, moment) for moment in turns} == turns


def test_days_left_are_whole_days(issued):
    certificate = issued[1]["minio"].certificate
    moments = (NOW, NOW + DAY / 2, NOW + 90 * DAY, NOW + 91 * DAY)
    assert [days_left(certificate, moment) for moment in moments] == [90, 89, 0, -1]


def test_only_what_clients_accept_is_usable(issued):
    usable = {state for state in Health if state.is_usable}
    assert usable == {Health.OK, Health.DUE}
    authority, leaves = issued
    assert health(leaves["minio"], [authority.certificate], NOW) in usable
    assert health(leaves["minio"], [], NOW) is Health.UNTRUSTED
