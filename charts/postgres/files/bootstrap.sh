#!/bin/sh
# Waits for the server, then brings its roles and rights to what the values say.
set -eu
here=${0%/*}
. "$here/client.sh"

for secret in $SECRETS; do
  require_secret "$secret"
done
wait_for_server "$WAIT_SECONDS"
log_in "$SUPERUSER_SECRET"
sql --file="$here/roles.sql" --set=secrets="$SECRETS_DIR" --dbname=postgres
echo "roles and rights are as the values say"
