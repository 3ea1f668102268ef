#!/bin/sh
# Makes sure there is a Python 3.11 or later (Debian 12's own), then does the rest there.
set -eu
cd "$(dirname "$0")/.."
export PYTHONDONTWRITEBYTECODE=1

fresh='import sys; sys.exit(sys.version_info < (3, 11))'
if ! python3 -c "$fresh" 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v python3 >/dev/null; then
        apt-get update -q >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends python3 >&2
    fi
    if ! python3 -c "$fresh" 2>/dev/null; then
        echo "Python 3.11 or later is missing (Debian 12: sudo apt-get install -y python3)" >&2
        echo "0 passed, 1 failed"
        exit 1
    fi
fi
script=$1
shift
exec python3 "scripts/$script" "$@"
