#!/bin/sh
# Makes the table and a key, and writes where the server is and the key to .env.local. Run it again
# whenever you like: what is there already stays as it is.
set -eu
cd "$(dirname "$0")"

: "${KALAM_URL:=http://127.0.0.1:2900}"
export KALAM_URL
user=todo-app

# Installed, or that of this checkout.
command -v kalam >/dev/null || kalam() { npx --no -- kalam "$@"; }

saved() { [ ! -f .env.local ] || sed -n "s/^$1=//p" .env.local; }

kalam status || {
  echo "No server answers at $KALAM_URL. Start one with 'npm start' in the folder of KalamDB," >&2
  echo "or say where it is: KALAM_URL=https://db.example.com sh setup.sh" >&2
  exit 1
}

kalam -q -f todo-app.sql

key=$(saved VITE_KALAM_API_KEY)
if [ "$(saved VITE_KALAM_URL)" = "$KALAM_URL" ] && [ -n "$key" ] &&
  KALAM_API_KEY=$key kalam -q -c 'SELECT 1' >/dev/null 2>&1; then
  echo "The key in .env.local is good."
  exit 0
fi

# The first key comes with the user; one who is there already gets another.
if kalam user list --format csv | cut -d, -f2 | grep -qx "$user"; then
  key=$(kalam -q key create "$user")
else
  key=$(kalam -q user create "$user")
fi
umask 077
printf 'VITE_KALAM_URL=%s\nVITE_KALAM_API_KEY=%s\n' "$KALAM_URL" "$key" >.env.local
echo "A key of the user $user is in .env.local."
