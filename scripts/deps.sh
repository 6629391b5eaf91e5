#!/bin/sh
# Node and the npm packages, each only when missing or out of date. Prints nothing when there is nothing to do.
set -eu
CN_ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$CN_ROOT"
. scripts/env.sh

if ! command -v npm >/dev/null 2>&1; then
  echo "npm is missing. Install Node.js with npm, any version from 20 on: https://nodejs.org/en/download" >&2
  echo "(Debian, Ubuntu: apt-get install npm; macOS: brew install node). A newer Node is fetched from npm when needed." >&2
  exit 1
fi

if [ -z "$CN_NODE_OK" ]; then
  echo "setup: Node >= 22.22 is not on PATH, fetching Node $NODE_VERSION from npm into .tools/node"
  mkdir -p .tools/node
  npm install --prefix .tools/node "node@$NODE_VERSION" --no-save --no-package-lock --no-audit --no-fund --loglevel=error
  . scripts/env.sh
  if [ -z "$CN_NODE_OK" ]; then
    echo "npm's package node@$NODE_VERSION brought no working Node for this machine (is ignore-scripts set?)." >&2
    echo "Install Node.js >= 22.22 yourself: https://nodejs.org/en/download" >&2
    exit 1
  fi
fi

# A copy of the lock file is the stamp: unlike times, it survives branch switches and copies of the folder.
# No package here needs its install script, so none is run (ssh2, below testcontainers, would start a compiler).
if ! cmp -s package-lock.json node_modules/.installed-package-lock.json; then
  echo "setup: npm ci"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed-package-lock.json
fi
