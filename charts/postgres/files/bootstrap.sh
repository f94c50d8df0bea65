#!/bin/sh
# Waits for the server, then brings its roles and rights to what the values say.
set -eu
here=${0%/*}
. "$here/client.sh"

# Whether it answers at all: whether it may be trusted is for the login below to find out, and to
# tell. TLS without a check leaves no refused connection in the server's log.
answers() {
  env -u PGSSLROOTCERT PGSSLMODE=prefer pg_isready --quiet --timeout=1
}

for secret in $SECRETS; do
  require_secret "$secret"
done
echo "waiting for $PGHOST:$PGPORT"
deadline=$(($(date +%s) + WAIT_SECONDS))
until answers || [ "$(date +%s)" -ge "$deadline" ]; do
  sleep 1
done
log_in "$SUPERUSER_SECRET"
sql --file="$here/roles.sql" --set=secrets="$SECRETS_DIR" --dbname=postgres
echo "roles and rights are as the values say"
