"""What can be done next, ready to be pasted."""

from deploy.place import BUCKET, INGEST, REPOSITORY, Place
from deploy.proof import ALIAS, STORE_PORT

PORTS = {"minio": STORE_PORT, "postgres": 5432, "vault": 8200}
KEY = "raw/mine.csv"
QUESTION = "SELECT count(*) AS sales, sum(quantity) AS units FROM fact_sales"


def next_steps(place: Place) -> str:
    """The text that `up` ends with; commands begin with a dollar sign."""
    kubectl = f"kubectl --context {place.context} --namespace {place.namespace}"
    folder = place.folder.relative_to(REPOSITORY)
    client = place.client.relative_to(REPOSITORY)
    authority = (place.certificates / "ca.crt").relative_to(REPOSITORY)
    arguments = f' ARGS="{place.options}"' if place.options else ""
    asking = f"manifests/quickstart.sh --context {place.context} --namespace {place.namespace}"
    return f"""\
Release {place.release} is up in namespace {place.namespace} of {place.context}.

  $ export PATH="$HOME/.cache/minidata/bin:$PWD/.venv/bin:$PATH"

Ways in, each for as long as it runs; all speak TLS, signed by {authority}:
  $ {kubectl} port-forward service/minio {PORTS["minio"]}        # https://localhost:9000
  $ {kubectl} port-forward service/postgres {PORTS["postgres"]}     # localhost:5432, database sales
  $ {kubectl} port-forward service/vault {PORTS["vault"]}        # https://localhost:8200

Put a file, while the first of them runs:
  $ sales-pipeline generate --to {folder} --rows 1000
  $ mc --config-dir {client} cp {folder}/sales-00001.csv {ALIAS}/{BUCKET}/{KEY}

See its rows, some seconds later:
  $ {kubectl} get si {INGEST}
  $ {asking} query "{QUESTION}"

See how all is, and remove it:
  $ make status{arguments}
  $ make down{arguments}
"""
