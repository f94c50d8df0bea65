#!/bin/sh
# A word or an option of vault's own needs no `vault` before it; `server` also finds its
# configuration. Anything else is a command to run.
set -eu

case "${1:-}" in
  server)
    shift
    set -- vault server -config=/vault/config \
      -dev-root-token-id="${VAULT_DEV_ROOT_TOKEN_ID:-}" \
      -dev-listen-address="${VAULT_DEV_LISTEN_ADDRESS:-0.0.0.0:8200}" "$@"
    ;;
  -* | agent | auth | kv | login | operator | policy | read | secrets | status | token | version | write)
    set -- vault "$@"
    ;;
esac
exec "$@"
