#!/usr/bin/env bash
# What the README's quick start needs beside helm and kubectl: Secrets with random content, a file
# brought into the bucket, a question to the warehouse.
#
# No password is shown but by `reveal`, or is in an argument, an environment variable or a label: they
# go by standard input, or are read in the pod that has them. Needs bash, coreutils and kubectl.
set -Eeuo pipefail

help() {
  cat <<'END'
Usage: manifests/quickstart.sh [--context NAME] [--namespace NAME] COMMAND

  secrets            make every Secret that the charts minio, postgres and operator ask for, with
                     random passwords and keys; those that are there are kept
  deliver FILE KEY   put a file into the bucket `sales`, under a key such as raw/first.csv
  query SQL          ask the warehouse, with the login of the dashboards, which can only read
  reveal ACCOUNT PATH FIELD...
                     show fields of a secret in Vault, a line each, as a service account whose role
                     may read it

The namespace is `sales` by default, the cluster that of the current context. Where the login of the
dashboards is in no Secret, `query` has it from Vault.
END
}

fail() {
  echo "quickstart: $*" >&2
  exit 1
}

kube() {
  kubectl ${context:+--context "$context"} --namespace "$namespace" "$@"
}

# --- Secrets ------------------------------------------------------------------------------------

password() {
  head -c 24 /dev/urandom | base64 | tr '+/' '-_'
}

key_of_32_bytes() {
  head -c 32 /dev/urandom | base64
}

is_there() {
  [ -n "$(kube get secret "$1" --ignore-not-found --output=name)" ]
}

# create NAME [KEY VALUE]...: make a Secret, unless it is there. Not by `apply`, which would write
# all of it into an annotation too.
create() {
  local name=$1
  shift
  if is_there "$name"; then
    echo "kept  $name"
    return
  fi
  for field in "$@"; do [ -n "$field" ] || fail "Secret $name: this machine gave no random bytes"; done
  {
    printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData:\n' "$name"
    printf '  %s: "%s"\n' "$@"
  } | kube create --filename=- >/dev/null
  echo "made  $name"
}

# The object store shows it when it posts events: what one Secret has, the other must have too.
token_of_events() {
  if is_there sales-operator-events; then
    kube get secret sales-operator-events --output='jsonpath={.data.token}' | base64 --decode
  elif is_there minio-server; then
    fail "Secret minio-server is there, but not sales-operator-events: make that one yourself, with" \
      "the token that config.env has as MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SALES."
  else
    password
  fi
}

secrets() {
  local token
  token=$(token_of_events)
  create sales-operator-events token "$token"
  create minio-server config.env "$(server_settings "$token")"
  create sales-pipeline-object-store access_key sales-pipeline secret_key "$(password)"
  create sales-operator-object-store access_key sales-operator secret_key "$(password)"
  create postgres-superuser username postgres password "$(password)"
  create postgres-owner username sales_owner password "$(password)"
  create sales-pipeline-database username sales_pipeline password "$(password)"
  create metabase-database username metabase password "$(password)"
  create sales-pipeline-pseudonym key "$(key_of_32_bytes)" key_version 1
}

# server_settings TOKEN: lines of KEY=value, as text of a quoted scalar in YAML.
server_settings() {
  printf '%s\\n' MINIO_ROOT_USER=root "MINIO_ROOT_PASSWORD=$(password)" \
    "MINIO_KMS_SECRET_KEY=sales:$(key_of_32_bytes)" "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SALES=$1" \
    "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SALESNOW=$1"
}

# --- a file, a question -------------------------------------------------------------------------

# Runs in the object store's pod: the file by standard input, its key as argument.
# shellcheck disable=SC2016 # it is expanded there
readonly STORE='
set -eu
umask 077
MC_CONFIG_DIR=$(mktemp -d)
export MC_CONFIG_DIR
trap "rm -r $MC_CONFIG_DIR" EXIT
mkdir -p "$MC_CONFIG_DIR/certs/CAs"
cp /certs/CAs/ca.crt "$MC_CONFIG_DIR/certs/CAs/"
. /config/config.env
printf "%s\n" "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" |
  mc alias set root https://localhost:9000 >/dev/null
mc pipe --quiet "root/sales/$1" >/dev/null
'

deliver() {
  [ -r "$1" ] || fail "$1: no such file, or it cannot be read"
  kube exec --stdin minio-0 --container=minio -- sh -c "$STORE" sh "$2" <"$1"
  echo "delivered $1 as $2"
}

# Runs in the warehouse's pod: login and password by standard input, the question as argument.
# shellcheck disable=SC2016 # it is expanded there
readonly ASK='
set -eu
umask 077
read -r PGUSER
PGPASSFILE=$(mktemp -p /dev/shm)
export PGUSER PGPASSFILE
trap "rm $PGPASSFILE" EXIT
printf "*:*:*:*:%s\n" "$(sed "s/[\\\\:]/\\\\&/g")" >"$PGPASSFILE"
psql --no-psqlrc --no-password --dbname=sales --set=ON_ERROR_STOP=1 --command="$1"
'

login_of_dashboards() {
  local login='{{.data.username | base64decode}}{{"\n"}}{{.data.password | base64decode}}'
  if is_there metabase-database; then
    kube get secret metabase-database --output="go-template=$login"
  else
    reveal metabase postgres/metabase username password
  fi
}

query() {
  login_of_dashboards | kube exec --stdin postgres-0 --container=postgres -- sh -c "$ASK" sh "$1"
}

# --- Vault --------------------------------------------------------------------------------------

# Runs in Vault's pod: the service account's token by standard input; role, path and fields as
# arguments. What it is given for that token is kept in memory, and revoked.
# shellcheck disable=SC2016 # it is expanded there
readonly READ='
set -eu
umask 077
HOME=$(mktemp -d -p /dev/shm)
VAULT_ADDR=https://localhost:8200
VAULT_CACERT=/vault/tls/ca.crt
export HOME VAULT_ADDR VAULT_CACERT
trap "vault token revoke -self >/dev/null 2>&1 || true; rm -r $HOME" EXIT
role=$1
path=$2
shift 2
vault write -field=token auth/kubernetes/login "role=$role" jwt=- | vault login -no-print - >/dev/null
for field in "$@"; do
  vault kv get -mount=kv "-field=$field" "$path"
  echo
done
'

reveal() {
  kube create token "$1" --audience=vault --duration=10m | tr -d '\n' |
    kube exec --stdin vault-0 --container=vault -- sh -c "$READ" sh "$@"
}

# --- the command line ---------------------------------------------------------------------------

namespace=sales
context=
while :; do
  case "${1-}" in
    --namespace) namespace=${2:?--namespace: name one} ;;
    --context) context=${2:?--context: name one} ;;
    *) break ;;
  esac
  shift 2
done
case "${1-} $#" in
  "secrets 1") secrets ;;
  "deliver 3") deliver "$2" "$3" ;;
  "query 2") query "$2" ;;
  "reveal "[4-9]) shift && reveal "$@" ;;
  "--help 1" | "-h 1") help ;;
  *)
    help >&2
    exit 2
    ;;
esac
