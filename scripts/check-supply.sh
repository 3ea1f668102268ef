#!/usr/bin/env bash
# 检查依赖的许可证、来源和禁用项。 Holds Cargo.lock and fuzz/Cargo.lock against deny.toml: licences, sources, crates that must not come in. Nothing is
# compiled and no advisory is looked up: the database of advisories comes from the outside (`make audit` asks for it).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/tools.sh
. scripts/tools.sh
[ $# -gt 0 ] || set -- licenses bans sources
for manifest in Cargo.toml fuzz/Cargo.toml; do
    cargo-deny --manifest-path "$manifest" --config deny.toml --log-level error check "$@"
done
