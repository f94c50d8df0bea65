"""`charts/operator` with runs that the object store knows by their account: what they are told."""

import re

import pytest
import yaml

from sales_operator.settings import WebIdentity
from tests.charts.operator_chart import EVERYTHING, settings_of
from tests.charts.support import CHARTS, HelmError, render

IDENTITY = {"objectStore": {"auth": "webIdentity"}}
MODES = ("secret", "agent", "direct")


def secrets_of_runs(documents):
    volumes = settings_of(documents).pipeline.volumes
    return {volume.mount_path for volume in volumes if volume.kind == "Secret"}


def test_by_default_runs_have_keys():
    assert settings_of(render("operator")).pipeline.web_identity is None


@pytest.mark.parametrize("mode", MODES)
def test_one_value_takes_the_keys_away_and_nothing_else(mode):
    credentials = {"credentials": {"mode": mode}}
    before, after = (render("operator", credentials | more) for more in ({}, IDENTITY))
    taken = {"/vault/secrets/object-store"} if mode == "secret" else set()
    assert secrets_of_runs(before) - secrets_of_runs(after) == taken
    plain, known = (settings_of(documents) for documents in (before, after))
    assert known.pipeline.web_identity == WebIdentity(audience="minio")
    assert known.pipeline.environment == plain.pipeline.environment
    assert known.pipeline.vault == plain.pipeline.vault
    assert known.object_store == plain.object_store


def test_both_charts_mean_the_same_audience():
    values = yaml.safe_load((CHARTS / "minio/values.yaml").read_text("utf-8"))
    pipeline = settings_of(render("operator", IDENTITY)).pipeline
    assert pipeline.web_identity.audience == values["webIdentity"]["audience"]
    (account,) = values["webIdentity"]["accounts"].values()
    assert pipeline.service_account == account["serviceAccount"]


def test_a_store_of_others_has_a_role_of_its_own():
    assert settings_of(render("operator", EVERYTHING)).pipeline.web_identity == WebIdentity(
        audience="s3.example", role_arn="arn:aws:iam::111122223333:role/loader"
    )


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"auth": "token"}, "/objectStore/auth"),
        ({"webIdentity": {"audience": ""}}, "/objectStore/webIdentity/audience"),
        ({"webIdentity": {"roleArn": "loader"}}, "/objectStore/webIdentity/roleArn"),
        ({"webIdentity": {"enabled": True}}, "/objectStore/webIdentity"),
    ],
)
def test_schema_refuses(values, place):
    with pytest.raises(HelmError, match=re.escape(place)):
        render("operator", {"objectStore": values})
