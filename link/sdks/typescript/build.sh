#!/bin/sh
# Builds the package from this folder alone: sh build.sh
set -eu
cd "$(dirname "$0")"
[ -d node_modules/esbuild ] || [ -d ../../../node_modules/esbuild ] || npm install --no-audit --no-fund
node build.js
