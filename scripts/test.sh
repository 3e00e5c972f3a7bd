#!/usr/bin/env bash
# Set-up and the whole test suite. `scripts/test.sh unit e2e` runs only those stages; see test/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --tests
exec node_modules/.bin/bun scripts/test.ts "$@"
