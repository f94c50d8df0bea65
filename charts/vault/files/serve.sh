#!/bin/sh
# Runs the server, and has it read its certificate again once that has changed.
#
#   serve.sh PROGRAM ARGUMENT...
#
# It looks by itself only when it starts. Signal 1 has it look again, seals nothing and ends no
# connection. No probe sends that signal: it would have to run here what the kubelet asks for nothing,
# and a program that is short of time for once must not end in a restart that seals the server.
set -eu

pair() {
  sha256sum /vault/tls/tls.crt /vault/tls/tls.key
}

# Looked at before the server does: one that changes in between is read twice.
seen=$(pair)

# It goes by the process that becomes the server, and ends with it.
while sleep 10 && kill -0 "$$" 2>/dev/null; do
  found=$(pair) || continue
  if [ "$found" != "$seen" ]; then
    kill -HUP "$$"
    seen=$found
  fi
done &

exec "$@"
