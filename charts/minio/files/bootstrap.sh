#!/bin/sh
# Brings a MinIO server to the state that the chart's values describe, whatever state it is in.
#
# Needs what the server's image has: sh, cat, cp, mkdir, timeout and mc. Secrets are read from
# files and reach mc by its standard input alone, so no list of processes and no environment
# shows them.
#
# Exit codes: 78 a human must act (the message says how), others may go away by themselves.
set -eu

say() {
  echo "bootstrap: $*"
}

give_up() {
  say "$*" >&2
  exit 78
}

# --- signing in ---------------------------------------------------------------------------------

trust_authority() {
  mkdir -p "$MC_CONFIG_DIR/certs/CAs"
  cp "$CA_FILE" "$MC_CONFIG_DIR/certs/CAs/ca.crt"
}

wait_until_healthy() {
  export MC_HOST_health="$MINIO_URL"
  timeout "$WAIT_SECONDS" mc ready health ||
    give_up "$MINIO_URL: not healthy within $WAIT_SECONDS s, see above." \
      "Look at the server's log, and at the certificate in Secret $TLS_SECRET."
}

# A setting of config.env, read as the server reads it: the last one wins, quotes don't count.
config_value() {
  found=
  while read -r line || [ -n "$line" ]; do
    line=${line#export}
    case ${line# } in
      "$1="*) found=${line#*=} ;;
    esac
  done <"$CREDENTIALS_DIR/server/config.env"
  case $found in
    \"*\" | \'*\')
      found=${found#?}
      found=${found%?}
      ;;
  esac
  printf '%s' "$found"
}

sign_in() {
  user=$(config_value MINIO_ROOT_USER)
  password=$(config_value MINIO_ROOT_PASSWORD)
  if [ -z "$user" ] || [ -z "$password" ]; then
    give_up "$SERVER_SECRET: config.env lacks MINIO_ROOT_USER or MINIO_ROOT_PASSWORD. Add it."
  fi
  printf '%s\n' "$user" "$password" | mc alias set root "$MINIO_URL" >/dev/null ||
    give_up "$MINIO_URL: refuses the root login of $SERVER_SECRET, see above." \
      "If that has changed since the server started, restart the server."
}

# --- buckets ------------------------------------------------------------------------------------

ensure_bucket() {
  mc mb --ignore-existing "root/$1" >/dev/null
  mc version enable "root/$1" >/dev/null
  mc encrypt set sse-s3 "root/$1" >/dev/null || no_encryption "$1"
  prove_encryption "$1"
  set_lifecycle "$1"
  say "bucket $1: versioned, encrypted"
}

no_encryption() {
  give_up "bucket $1: the server does not encrypt." \
    "Set MINIO_KMS_SECRET_KEY=NAME:KEY (KEY: base64 of 32 bytes) in config.env of" \
    "$SERVER_SECRET, restart the server, and run this again."
}

# What the server says it will do is not what it does: ask for an object that was really written.
prove_encryption() {
  probe=root/$1/.bootstrap-probe
  echo probe | mc pipe "$probe" >/dev/null
  found=$(mc stat --json --no-list "$probe")
  mc rm --versions --force "$probe" >/dev/null
  case $found in
    *'"X-Amz-Server-Side-Encryption":"AES256"'*) ;;
    *) no_encryption "$1" ;;
  esac
}

set_lifecycle() {
  rules=$BOOTSTRAP_DIR/buckets/$1
  if [ -s "$rules" ]; then
    mc ilm rule import "root/$1" <"$rules" >/dev/null
  elif mc ilm rule export "root/$1" >/dev/null 2>&1; then
    mc ilm rule rm --all --force "root/$1" >/dev/null
  fi
}

# --- policies and users -------------------------------------------------------------------------

ensure_policy() {
  mc admin policy create root "$1" "$BOOTSTRAP_DIR/policies/$1" >/dev/null ||
    give_up "policy $1: the server refuses it, see above. Correct policies.$1 in the values."
  say "policy $1: set"
}

ensure_user() {
  key=$(access_key_of "$1")
  case $key in
    '' | *[!A-Za-z0-9._-]*)
      give_up "user $1: access_key is empty or holds more than letters, digits and . _ -"
      ;;
  esac
  printf '%s\n' "$key" "$(cat "$CREDENTIALS_DIR/users/$1/secret_key")" |
    mc admin user add root >/dev/null ||
    give_up "user $1: the server refuses its keys, see above. Correct them where they are kept."
  for policy in $(policies_of "$1"); do
    mc admin policy attach root "$policy" --user "$key" >/dev/null
  done
  say "user $1: set"
}

access_key_of() {
  cat "$CREDENTIALS_DIR/users/$1/access_key"
}

policies_of() {
  cat "$BOOTSTRAP_DIR/users/$1"
}

# Who has a policy of ours without being named for it, such as a user whose keys were replaced,
# loses it; our users also lose what others gave them.
detach_surplus() {
  listing=$(mc admin user list --json root)
  while read -r line; do
    key=$(json_text accessKey "$line")
    for policy in $(json_text policyName "$line" | tr , ' '); do
      is_surplus "$key" "$policy" || continue
      mc admin policy detach root "$policy" --user "$key" >/dev/null
      say "policy $policy: taken away from a user that is not named for it"
    done
  done <<END
$listing
END
}

# The text of a field in a line of JSON, as mc prints them.
json_text() {
  case $2 in
    *"\"$1\":\""*)
      rest=${2#*"\"$1\":\""}
      echo "${rest%%\"*}"
      ;;
  esac
}

is_surplus() {
  for name in $(names users); do
    if [ "$(access_key_of "$name")" = "$1" ]; then
      case " $(policies_of "$name" | tr '\n' ' ') " in
        *" $2 "*) return 1 ;;
        *) return 0 ;;
      esac
    fi
  done
  [ -e "$BOOTSTRAP_DIR/policies/$2" ]
}

# --- all of it ----------------------------------------------------------------------------------

# The names in a folder of what there shall be; none if there is no such folder.
names() {
  for file in "$BOOTSTRAP_DIR/$1"/*; do
    [ ! -e "$file" ] || echo "${file##*/}"
  done
}

trust_authority
wait_until_healthy
sign_in
for bucket in $(names buckets); do ensure_bucket "$bucket"; done
for policy in $(names policies); do ensure_policy "$policy"; done
for user in $(names users); do ensure_user "$user"; done
detach_surplus
say "done"
