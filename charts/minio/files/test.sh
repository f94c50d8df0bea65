#!/bin/sh
# Tries the running server from outside: what must work works, what must be refused is refused.
#
# Needs what bootstrap.sh needs. Ends at the first surprise, with exit code 1.
set -eu

passed() {
  echo "ok: $*"
}

failed() {
  echo "FAILED: $*" >&2
  exit 1
}

# As a user: NAME.
sign_in() {
  keys=$CREDENTIALS_DIR/users/$1
  printf '%s\n' "$(cat "$keys/access_key")" "$(cat "$keys/secret_key")" |
    mc alias set "$1" "$MINIO_URL" >/dev/null || failed "$1 cannot sign in: did the bootstrap run?"
}

# Fails unless a command fails for this reason: REASON COMMAND...
refused_as() {
  reason=$1
  shift
  if answer=$("$@" 2>&1 </dev/null); then
    return 1
  fi
  case $answer in
    *"$reason"*) ;;
    *) failed "refused for another reason than '$reason': $answer" ;;
  esac
}

check_transport() {
  export MC_HOST_anonymous="$MINIO_URL" MC_HOST_plain="http${MINIO_URL#https}"
  timeout 30 mc ready anonymous >/dev/null || failed "no healthy server answers $MINIO_URL with a certificate of our CA"
  passed "the server is healthy, and its certificate is one of our CA's"
  refused_as "HTTP request to an HTTPS server" mc ls plain || failed "plain HTTP is served"
  passed "plain HTTP is refused"
}

check_writer() {
  sign_in "$WRITER"
  echo test | mc pipe "$WRITER/$OBJECT" >/dev/null || failed "$WRITER cannot write $OBJECT"
  case $(mc stat --json --no-list "$WRITER/$OBJECT") in
    *'"X-Amz-Server-Side-Encryption":"AES256"'*) passed "what $WRITER writes is encrypted" ;;
    *) failed "what $WRITER writes is not encrypted" ;;
  esac
  refused_as "Access Denied" mc rm "$WRITER/$OBJECT" || failed "$WRITER may delete $OBJECT"
  passed "$WRITER may not delete from the archive"
}

check_observer() {
  sign_in "$OBSERVER"
  mc ls "$OBSERVER/$BUCKET/" >/dev/null || failed "$OBSERVER cannot list $BUCKET"
  passed "$OBSERVER may list"
  refused_as "Access Denied" mc head --lines 1 "$OBSERVER/$OBJECT" || failed "$OBSERVER may read $OBJECT"
  passed "$OBSERVER may not read"
}

check_anonymous() {
  refused_as "Access Denied" mc ls "anonymous/$BUCKET/" || failed "$BUCKET can be listed by anybody"
  refused_as "Access Denied" mc head --lines 1 "anonymous/$OBJECT" || failed "$OBJECT can be read by anybody"
  passed "without keys nothing is listed or read"
}

OBJECT=$BUCKET/processed/.helm-test
mkdir -p "$MC_CONFIG_DIR/certs/CAs"
cp "$CA_FILE" "$MC_CONFIG_DIR/certs/CAs/ca.crt"
check_transport
[ -z "$WRITER" ] || check_writer
[ -z "$OBSERVER" ] || check_observer
check_anonymous
