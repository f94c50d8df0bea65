#!/bin/sh
# What a container is given as arguments is for the server, whether or not they name it.
set -eu

[ "${1:-}" = silo ] || set -- silo "$@"
exec "$@"
