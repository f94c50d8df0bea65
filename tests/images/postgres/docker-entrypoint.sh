#!/bin/bash
# Starts PostgreSQL the way the published image does: with no database in PGDATA it first makes one,
# from POSTGRES_* and /docker-entrypoint-initdb.d, by way of a server that only a socket leads to.
set -Eeo pipefail

readonly SCRIPTS=/docker-entrypoint-initdb.d
readonly OLD_VOLUME=/var/lib/postgresql/data

say() { printf 'docker-entrypoint: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# read_setting NAME: its value, or what is in the file that NAME_FILE names.
read_setting() {
  local name=$1 value=${!1} file_name=${1}_FILE
  local file=${!file_name}
  [[ -z $value || -z $file ]] || die "$name and $file_name are both set: keep one."
  [[ -z $file ]] || value=$(<"$file")
  printf '%s' "$value"
}

# wants_words ARGUMENT...: whether postgres is only asked to tell something.
wants_words() {
  local argument
  for argument; do
    case $argument in -'?' | --help | --describe-config | -V | --version | -C) return 0 ;; esac
  done
  return 1
}

prepare_folders() {
  local folder
  for folder in "$PGDATA" /var/run/postgresql; do
    mkdir -p "$folder"
    [[ $(id -u) != 0 ]] || find "$folder" ! -user postgres -exec chown postgres {} +
  done
  # A folder that came from outside may be another's; then the server judges it.
  chmod 700 "$PGDATA" 2>/dev/null || :
}

refuse_old_data() {
  local folder
  for folder in /var/lib/postgresql "$OLD_VOLUME" /var/lib/postgresql/*/docker; do
    [[ ! -s $folder/PG_VERSION ]] ||
      die "$folder holds data, but PGDATA is $PGDATA: upgrade it with pg_upgrade, or set PGDATA."
  done
  ! mountpoint -q "$OLD_VOLUME" ||
    die "a volume is mounted at $OLD_VOLUME: since 18 it belongs to /var/lib/postgresql."
}

require_password() {
  [[ -n $password || $method == trust ]] ||
    die "no superuser password: set POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD."
}

# run_psql DATABASE ARGUMENT...
run_psql() {
  PGPASSWORD=$password PGHOST='' psql --no-psqlrc --no-password --set ON_ERROR_STOP=1 \
    --username "$POSTGRES_USER" --dbname "$@"
}

make_cluster() {
  local -a arguments
  eval "arguments=($initdb_arguments)" # quoted like in a shell, so that a value may hold spaces
  [[ -z $password ]] || arguments+=(--pwfile=/dev/stdin)
  initdb --username="$POSTGRES_USER" "${arguments[@]}" <<< "$password"
  printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
}

# serve_socket ARGUMENT...: with the same settings as later, but for where it listens.
serve_socket() {
  local settings
  settings=$(printf '%q ' "$@" -c listen_addresses= -p "${PGPORT:-5432}")
  PGUSER=$POSTGRES_USER PGPASSWORD=$password pg_ctl --wait --options="$settings" start
}

make_database() {
  [[ $POSTGRES_DB != postgres ]] || return 0
  run_psql postgres --set name="$POSTGRES_DB" <<< 'CREATE DATABASE :"name"'
}

# In the order of their names; a script that nobody may execute is read into this shell.
run_scripts() {
  local file
  for file in "$SCRIPTS"/*; do
    [[ -e $file ]] || continue
    say "$file"
    case $file in
      *.sh) if [[ -x $file ]]; then "$file"; else . "$file"; fi ;;
      *.sql) run_psql "$POSTGRES_DB" --file "$file" ;;
      *.sql.gz) gunzip --stdout "$file" | run_psql "$POSTGRES_DB" ;;
      *) say "left alone: $file" ;;
    esac
  done
}

# initialise ARGUMENT...: in a shell of its own, so that no secret reaches the server.
initialise() (
  password=$(read_setting POSTGRES_PASSWORD)
  initdb_arguments=$(read_setting POSTGRES_INITDB_ARGS)
  method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  POSTGRES_USER=$(read_setting POSTGRES_USER)
  POSTGRES_USER=${POSTGRES_USER:-postgres}
  POSTGRES_DB=$(read_setting POSTGRES_DB)
  POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
  export POSTGRES_USER POSTGRES_DB PGPASSWORD=$password

  require_password
  refuse_old_data
  make_cluster
  serve_socket "$@"
  make_database
  run_scripts
  pg_ctl --wait --mode=fast stop
  say "initialised $PGDATA"
)

[[ $1 != -* ]] || set -- postgres "$@"
if [[ $1 == postgres ]] && ! wants_words "$@"; then
  prepare_folders
  if [[ $(id -u) == 0 ]]; then
    exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
  fi
  if [[ ! -s $PGDATA/PG_VERSION ]]; then
    initialise "${@:2}"
  fi
fi
exec "$@"
