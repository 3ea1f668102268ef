#!/usr/bin/env bash
# 用 schemathesis 检查接口：任何请求都不得到 5xx。 Schemathesis against a running system: no request is answered with a 5xx.
#   BAODAN_BINARY   the program; default: the one that `cargo build` makes
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/tools.sh
. scripts/tools.sh
program=${BAODAN_BINARY:-${CARGO_TARGET_DIR:-target}/debug/baodan}
[ -n "${BAODAN_BINARY:-}" ] || cargo build --quiet -p baodan
exec python scripts/check_api.py "$program" "$tools/bin/schemathesis" "$@"
