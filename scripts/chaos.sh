#!/bin/sh
# Builds everything with crash points, apart from the production binaries, and makes the fault runs.
# Arguments go to the program: --quick, --seconds 30, or the runs to make (faults, points, embedded, replicas).
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
cargo build --release --workspace --bins --features platform/crash-points
# Moved, not copied: the next ordinary build puts binaries without crash points into their place.
mkdir -p "$target/chaos"
for binary in baodan gateway auth-service report-service order-service sync-service chaos; do
    # What has not changed since the last run is one file under both names, which mv would refuse.
    rm -f "$target/chaos/$binary"
    mv "$target/release/$binary" "$target/chaos/$binary"
done
exec "$target/chaos/chaos" "$@"
