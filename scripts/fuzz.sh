#!/usr/bin/env bash
# 覆盖率引导的模糊测试（libFuzzer，稳定版 Rust，不带 sanitizer）。 Coverage-guided fuzzing of what fuzz/ names: libFuzzer by cargo-fuzz, on
# stable Rust and so without a sanitizer; what is asked is that nothing panics, hangs, swells or breaks a promise of its target.
#   scripts/fuzz.sh build                  compile the targets
#   scripts/fuzz.sh short TARGET           so many inputs from a fixed seed, the same every time: make test
#   scripts/fuzz.sh long [TARGET…]         FUZZ_SECONDS (300) each; what is found goes on from where the last run ended: make fuzz
#   scripts/fuzz.sh repeat TARGET FILE     one input again
set -euo pipefail
cd "$(dirname "$0")/.."

compiled=${CARGO_TARGET_DIR:-$PWD/target}
# An input costs micro- to milliseconds; one that takes longer than this, or more memory, is a finding.
bounds=(-timeout=10 -rss_limit_mb=1024)

fail() {
    echo "✗ $*" >&2
    exit 1
}

# The targets are tested with the versions that are shipped.
same_versions() {
    local renew="cp Cargo.lock fuzz/Cargo.lock && cargo metadata --manifest-path fuzz/Cargo.toml --format-version 1 > /dev/null"
    # shellcheck disable=SC2016 # awk's own
    local versions='$1 == "name" { name = $3 } $1 == "version" { print name, $3 }'
    cargo metadata --locked --manifest-path fuzz/Cargo.toml --format-version 1 > /dev/null \
        || fail "fuzz/Cargo.lock 已过期 · is out of date: $renew"
    awk "$versions" Cargo.lock | sort > "$work/shipped"
    awk "$versions" fuzz/Cargo.lock | grep -vE '^"(fuzz|libfuzzer-sys|arbitrary)" ' | sort > "$work/fuzzed"
    comm -13 "$work/shipped" "$work/fuzzed" > "$work/strange"
    [ ! -s "$work/strange" ] || fail "fuzz/Cargo.lock 的版本与 Cargo.lock 不同 · names other versions than Cargo.lock: $renew
$(cat "$work/strange")"
}

build() {
    # shellcheck source=scripts/tools.sh
    . scripts/tools.sh
    # libFuzzer is C++.
    system_package c++ g++
    same_versions
    cargo-fuzz build --sanitizer none --dev --target-dir "$compiled"
}

program() { # target
    local host
    host=$(rustc -vV | sed -n 's/^host: //p')
    [ -x "$compiled/$host/debug/$1" ] || fail "$1: 尚未编译 · is not compiled: scripts/fuzz.sh build"
    echo "$compiled/$host/debug/$1"
}

run() { # target, corpus, then settings of libFuzzer
    local target=$1 corpus=$2 found log=$work/log code=0
    shift 2
    local program
    program=$(program "$target")
    mkdir -p "$corpus" "fuzz/artifacts/$target"
    "$program" "$corpus" "fuzz/corpus/$target" "-dict=fuzz/dictionaries/$target.dict" "-artifact_prefix=fuzz/artifacts/$target/" \
        "${bounds[@]}" "$@" > "$log" 2>&1 || code=$?
    if [ "$code" != 0 ]; then
        tail -n 40 "$log" >&2
        found=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
        [ -n "$found" ] || fail "$target: 以 $code 结束 · ended with $code"
        fail "$target: 重现 · again: scripts/fuzz.sh repeat $target $found
  修复后请把该文件放进 fuzz/corpus/$target/ · once mended, keep it in fuzz/corpus/$target/"
    fi
    grep -q 'INFO: Loaded [1-9].* inline 8-bit counters' "$log" || fail "$target: 没有插桩 · is not instrumented"
    awk -v target="$target" '
        /INITED cov: / { from = $4 }
        / cov: / { to = $4; for (i = 5; i < NF; i++) if ($i == "corp:") kept = $(i + 1) }
        /^stat::number_of_executed_units/ { inputs = $2 }
        /^stat::average_exec_per_sec/ { speed = $2 }
        /^stat::peak_rss_mb/ { memory = $2 }
        END {
            if (!inputs || !to) { print target ": no input was tried"; exit 1 }
            printf "%s: %d inputs, %d/s, edges %d -> %d, corpus %s, %d MiB\n", target, inputs, speed, from, to, kept, memory
        }' "$log" || fail "$target: 没有试过任何输入 · nothing was tried"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
what=${1:-}
[ $# = 0 ] || shift
case $what in
    build) build ;;
    short)
        case ${1:?a target} in
            workbook) inputs=6000 ;;
            xlsx_part) inputs=6000 ;;
            *) inputs=40000 ;;
        esac
        run "$1" "$work/corpus" -seed=1 "-runs=$inputs" -max_total_time=60 -print_final_stats=1
        ;;
    long)
        build
        [ $# -gt 0 ] || set -- fuzz/corpus/*
        for target in "${@##*/}"; do
            run "$target" "$compiled/fuzz-corpus/$target" "-max_total_time=${FUZZ_SECONDS:-300}" -print_final_stats=1
        done
        ;;
    repeat) "$(program "${1:?a target}")" "${bounds[@]}" "${2:?a file}" ;;
    *)
        sed -n '4,7s/^# *//p' "$0" >&2
        exit 64
        ;;
esac
