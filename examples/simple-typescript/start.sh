#!/bin/sh
# Everything at once: a server if none answers, the table, a key, the page.
set -eu
cd "$(dirname "$0")"

: "${KALAM_URL:=http://127.0.0.1:2900}"
export KALAM_URL

# Installed, or that of this checkout.
command -v kalam >/dev/null || kalam() { npx --no -- kalam "$@"; }

if ! kalam status >/dev/null 2>&1; then
  case $KALAM_URL in
    http://127.0.0.1:2900 | http://localhost:2900) ;;
    *) echo "No server answers at $KALAM_URL." >&2 && exit 1 ;;
  esac
  echo "No server answers at $KALAM_URL: starting one, with its data in examples/simple-typescript/data."
  kalam serve --port 2900 --data-dir data >server.log 2>&1 &
  server=$!
  trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true' EXIT INT TERM
  until kalam status >/dev/null 2>&1; do
    kill -0 "$server" 2>/dev/null || { cat server.log >&2 && exit 1; }
    sleep 0.2
  done
fi

sh setup.sh
npx --no -- vite --open
