#!/usr/bin/env bash
# What docs/rotation.md needs beside helm and kubectl: new secrets in Vault.
#
# No secret is shown, or is in an argument or an environment variable: each is made where it is kept,
# or goes by standard input. Needs bash, kubectl and the right to `create token` for the ServiceAccount
# `rotation`, as which Vault lets it in.
set -Eeuo pipefail

help() {
  cat <<'END'
Usage: manifests/rotate.sh [--namespace NAME] COMMAND

  vault ARGUMENTS...  a command of Vault's own, such as `kv metadata get -mount=kv minio/server`
  new PATH FIELD      a new random value for a field of a secret below `kv`; its other fields stay
  copy FROM TO        make one secret below `kv` what another is
  pseudonym           a new key for pseudonyms, with the next version; the one before stays known
  superuser           a new password for PostgreSQL's superuser, in Vault and in the server
  runs                wait until all runs have ended that are active now

The namespace is by default that of the current context.
END
}

fail() {
  echo "rotate: $*" >&2
  exit 1
}

kube() {
  kubectl ${namespace:+"--namespace=$namespace"} "$@"
}

# --- in Vault -----------------------------------------------------------------------------------

# Runs in Vault's pod, in front of what is to be done there: the account's token by standard input.
# What Vault gives for it lies in memory, where its client looks for it, until this has ended.
# shellcheck disable=SC2016 # it is expanded there
readonly LOGIN='
set -eu
umask 077
export VAULT_ADDR=https://localhost:8200 VAULT_CACERT=/vault/tls/ca.crt
HOME=$(mktemp -d -p /dev/shm)
export HOME
trap "vault token revoke -self >/dev/null 2>&1 || true; rm -r $HOME" EXIT
read -r account
token=$(printf %s "$account" | vault write -field=token auth/kubernetes/login role=rotation jwt=-)
printf %s "$token" | vault login -no-print -
'

# in_vault SCRIPT ARGUMENTS...: what follows the account's token on standard input is the script's.
in_vault() {
  kube exec --stdin vault-0 --container=vault -- sh -c "$LOGIN$1" sh "${@:2}"
}

account() {
  kube create token rotation --audience=vault --duration=10m && echo
}

vault() {
  # shellcheck disable=SC2016 # it is expanded there
  account | in_vault 'vault "$@"' "$@"
}

new() {
  # shellcheck disable=SC2016 # it is expanded there
  account | in_vault '
    head -c 24 /dev/urandom | base64 | tr "+/" "-_" | tr -d "\n" |
      vault kv patch -mount=kv "$1" "$2=-" >/dev/null' "$@"
  echo "$1: $2 is new"
}

copy() {
  # shellcheck disable=SC2016 # it is expanded there
  account | in_vault '
    vault kv get -mount=kv -format=json -field=data "$1" | vault kv put -mount=kv "$2" - >/dev/null' "$@"
  echo "$2: is what $1 is"
}

# In one write: a run with the new key alone would take known customers for new ones. The map of the
# earlier keys is added to, as `patch` does with maps.
pseudonym() {
  # shellcheck disable=SC2016 # it is expanded there
  account | in_vault '
    of() { vault kv get -mount=kv -field="$1" sales/pseudonym; }
    key=$(of key)
    version=$(of key_version)
    next=$(head -c 32 /dev/urandom | base64)
    printf "{\"key\": \"%s\", \"key_version\": \"%s\", \"previous_keys\": {\"%s\": \"%s\"}}" \
      "$next" "$((version + 1))" "$version" "$key" |
      vault kv patch -mount=kv -method=patch sales/pseudonym - >/dev/null
    echo "sales/pseudonym: the key of version $((version + 1)) is new"'
}

# --- in PostgreSQL ------------------------------------------------------------------------------

# In Vault first: a password that only the server knew would be lost with this process.
superuser() {
  local path=postgres/superuser before after said
  before=$(vault kv get -mount=kv -field=password "$path")
  new "$path" password
  after=$(vault kv get -mount=kv -field=password "$path")
  # psql hashes it here: the server is not told the password itself, and so cannot log it.
  said=$(printf '%s\n' "$before" "$after" "$after" |
    kube exec --stdin postgres-0 --container=postgres -- \
      psql --no-psqlrc --username=postgres --dbname=postgres --command='\password' 2>&1) ||
    fail "the server keeps the superuser's old password: $said" \
      "Give Vault that back with \`vault kv rollback -mount=kv -version=NUMBER $path\`, and begin again."
  echo "$path: the server has it too"
}

# --- runs ---------------------------------------------------------------------------------------

active() {
  kube get jobs --selector=app.kubernetes.io/name=sales-pipeline \
    --output='go-template={{range .items}}{{if .status.active}}{{.metadata.name}}{{"\n"}}{{end}}{{end}}'
}

runs() {
  local before
  before=$(active)
  while grep --quiet --line-regexp --fixed-strings "${before:-none}" <<<"$(active)"; do
    sleep 1
  done
  echo "all have ended that were active: $(wc -w <<<"$before")"
}

# --- the command line ---------------------------------------------------------------------------

namespace=
if [ "${1-}" = --namespace ]; then
  namespace=${2:?--namespace: name one}
  shift 2
fi
case "${1-} $#" in
  "vault 1") help >&2 && exit 2 ;;
  "vault "*) vault "${@:2}" ;;
  "new 3") new "$2" "$3" ;;
  "copy 3") copy "$2" "$3" ;;
  "pseudonym 1") pseudonym ;;
  "superuser 1") superuser ;;
  "runs 1") runs ;;
  "--help 1" | "-h 1") help ;;
  *)
    help >&2
    exit 2
    ;;
esac
