# Adds a secret to the server's settings that nobody knows, and that ends with the pod. The server
# would take tokens that are signed with it, and with none given some builds take those of anybody.
set -eu

secret=$(head -c 32 /dev/urandom | base64)
[ "${#secret}" -eq 44 ]
rm -f "$SETTINGS"
umask 0277
{
  cat "$GIVEN"
  printf '\nMINIO_IDENTITY_OPENID_CLIENT_SECRET=%s\n' "$secret"
} >"$SETTINGS"
