#!/bin/sh
# What `helm test` checks: that the server keeps its promises towards the logins of the values.
# Changes nothing, prints no password.
set -eu
. "${0%/*}/client.sh"
failures=0

passed() {
  echo "ok      $1"
}

failed() {
  echo "FAILED  $1: $2"
  failures=$((failures + 1))
}

# answers WHAT WANTED COMMAND...: the command succeeds and prints just this.
answers() {
  what=$1 wanted=$2
  shift 2
  if said=$("$@" 2>&1) && [ "$said" = "$wanted" ]; then
    passed "$what"
  else
    failed "$what" "wanted '$wanted', got '$said'"
  fi
}

# refused WHAT REASON COMMAND...: the command fails, and for this reason.
refused() {
  what=$1 reason=$2
  shift 2
  if said=$("$@" 2>&1); then
    failed "$what" "was not refused"
    return
  fi
  case $said in
    *"$reason"*) passed "$what" ;;
    *) failed "$what" "wanted '$reason', got '$said'" ;;
  esac
}

without_tls() {
  PGSSLMODE=disable sql "$@"
}

wait_for_server 30
set -- $(getent hosts "$PGHOST")
address=$1
strangers="SELECT rolname FROM pg_roles
  WHERE rolcanlogin AND NOT rolsuper AND has_database_privilege(oid, current_database(), 'CONNECT')
    AND oid NOT IN (SELECT datdba FROM pg_database WHERE datname = current_database())
    AND NOT pg_has_role(oid, 'etl_loader', 'MEMBER')
    AND NOT pg_has_role(oid, 'metabase_reader', 'MEMBER')"

for secret in $LOADERS $READERS; do
  log_in "$secret"
  answers "$secret: TLS, certificate verified" t \
    sql -c "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
  refused "$secret: no connection without TLS" "no encryption" without_tls -c "SELECT 1"
  refused "$secret: no server under another name" "does not match host name" \
    sql -d "host=impostor.invalid hostaddr=$address" -c "SELECT 1"
  refused "$secret: no other database" "permission denied for database" \
    sql -d "dbname=postgres" -c "SELECT 1"
  answers "$secret: nobody but members may connect" "" sql -c "$strangers"
  answers "$secret: not everybody may connect" f \
    sql -c "SELECT has_database_privilege('public', current_database(), 'CONNECT')"
done

for secret in $LOADERS; do
  log_in "$secret"
  answers "$secret: changes rows" 0 \
    sql -c "WITH changed AS (UPDATE fact_sales SET quantity = 1 WHERE false RETURNING 1)
      SELECT count(*) FROM changed"
  refused "$secret: makes no table" "permission denied for schema" \
    sql -c "BEGIN; CREATE TABLE helm_test (a int); ROLLBACK"
  refused "$secret: makes no table in public" "permission denied for schema" \
    sql -c "BEGIN; CREATE TABLE public.helm_test (a int); ROLLBACK"
  refused "$secret: drops no table" "must be owner of table" \
    sql -c "BEGIN; DROP TABLE fact_sales; ROLLBACK"
done

for secret in $READERS; do
  log_in "$secret"
  answers "$secret: reads" "" sql -c "SELECT order_id FROM fact_sales LIMIT 0"
  refused "$secret: writes no row" "permission denied for table" \
    sql -c "BEGIN; INSERT INTO fact_sales DEFAULT VALUES; ROLLBACK"
  refused "$secret: makes no table" "permission denied for schema" \
    sql -c "BEGIN; CREATE TABLE helm_test (a int); ROLLBACK"
done

[ "$failures" -eq 0 ] || fail "$failures checks failed"
