#!/bin/sh
# Whether the server takes connections, over TCP and TLS, the way clients come.
#
# It does not look at its certificate again by itself. The kubelet asks here every few seconds, so a
# Secret that has changed is read soon after it has reached the pod; open connections stay.
set -eu

pg_isready --quiet --dbname='host=127.0.0.1 sslmode=require'

found=$(sha256sum "$TLS_DIR/tls.crt" "$TLS_DIR/tls.key")
# A server that cannot be told has its old certificate, and is ready all the same.
if [ "$found" != "$(cat "$TLS_SEEN" 2>/dev/null)" ] && pg_ctl reload --silent; then
  echo "$found" >"$TLS_SEEN"
fi
