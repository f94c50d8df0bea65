# For scripts that log in. Passwords go from the files of the secrets, be they Kubernetes' or Vault's,
# to a file in memory that only libpq reads: never into an argument, the environment or a line of output.

fail() {
  echo "$*" >&2
  exit 1
}

# require_secret SECRET: end here, and say so, where it lacks a key.
require_secret() {
  for key in username password; do
    [ -s "$SECRETS_DIR/$1/$key" ] || fail "Secret $1: the key $key is missing or empty"
  done
}

# log_in SECRET: be, from here on, the login of this secret.
log_in() {
  PGUSER=$(cat "$SECRETS_DIR/$1/username")
  PGPASSFILE="$RUNTIME_DIR/pgpass"
  # In this file a backslash goes before each colon and backslash of the password itself.
  escaped=$(sed 's/[\\:]/\\&/g' "$SECRETS_DIR/$1/password")
  (umask 077 && printf '*:*:*:*:%s\n' "$escaped" >"$PGPASSFILE")
  unset escaped
  export PGUSER PGPASSFILE
}

# sql ARGUMENTS...: psql that asks nothing and stops at the first error.
sql() {
  psql --no-psqlrc --no-password --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 "$@"
}

# wait_for_server SECONDS: until it answers at all, or for so long. Whether it may be trusted is for a
# login to find out, and to tell; TLS without a check leaves no refused connection in its log. A pod
# that has just started may be refused, too, until the rules of NetworkPolicies know its address.
wait_for_server() {
  echo "waiting for $PGHOST:$PGPORT"
  deadline=$(($(date +%s) + $1))
  until env -u PGSSLROOTCERT PGSSLMODE=prefer pg_isready --quiet --timeout=1 \
    || [ "$(date +%s)" -ge "$deadline" ]; do
    sleep 1
  done
}
