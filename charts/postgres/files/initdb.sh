#!/bin/sh
# Makes the data directory, whole or not at all: it grows beside its place and is moved there when
# it is done, so a start that was cut off leaves nothing that could be taken for a database.
set -eu
secret=${SUPERUSER_DIR:?}
version=${PGDATA%/*} # VOLUME/MAJOR/docker, as the image has it
volume=${version%/*}
unfinished="$PGDATA.unfinished"

if [ -s "$PGDATA/PG_VERSION" ]; then
  echo "$PGDATA: is there"
  exit 0
fi
rm -rf "$unfinished"
for other in "$volume/PG_VERSION" "$volume"/*/PG_VERSION "$volume"/*/*/PG_VERSION; do
  if [ -e "$other" ]; then
    echo "$other: data of another version of PostgreSQL; upgrade it, or give the chart a new volume" >&2
    exit 1
  fi
done

mkdir -p "$version"
# The order of text is PostgreSQL's own: an image with another C library cannot break an index.
initdb --pgdata="$unfinished" \
  --username="$(cat "$secret/username")" --pwfile="$secret/password" --auth=scram-sha-256 \
  --encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 \
  --set=huge_pages=off --no-instructions
mv -T "$unfinished" "$PGDATA"
sync "$version"
