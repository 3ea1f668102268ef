#!/usr/bin/env bash
# 启动生产形态（docker compose）。 Starts the production shape by docker compose: writes fresh secrets on the first run, builds,
# waits until everything is healthy, says where to go. Running it again changes no secret.
#
#   scripts/up.sh [--secrets-only]
#   OBSERVE=0      without collector, Tempo, Prometheus and Grafana
#   BUILD=0        with the images that are there already
#   BAODAN_PUBLISH where the gateway listens, default 127.0.0.1:8080
#   BAODAN_SECRETS the folder of the secrets, default ./secrets
set -euo pipefail
cd "$(dirname "$0")/.."

compose() { ${COMPOSE:-docker compose} "$@"; }

folder=${BAODAN_SECRETS:-secrets}

random() { openssl rand -hex "$1"; }

# Writes a secret once. The folder is closed to others; the files are readable for the users inside the containers.
secret() {
    [ -s "$folder/$1" ] && return
    printf '%s\n' "$2" > "$folder/.$1.part"
    chmod 0444 "$folder/.$1.part"
    mv "$folder/.$1.part" "$folder/$1"
}

# RabbitMQ's form: base64(salt ‖ sha256(salt ‖ password)).
rabbitmq_hash() {
    local salt
    salt=$(random 4)
    {
        printf '%b' "\\x${salt:0:2}\\x${salt:2:2}\\x${salt:4:2}\\x${salt:6:2}"
        printf '%b%s' "\\x${salt:0:2}\\x${salt:2:2}\\x${salt:4:2}\\x${salt:6:2}" "$1" | openssl dgst -sha256 -binary
    } | openssl base64 -A
}

write_secrets() {
    command -v openssl > /dev/null || { echo "需要 openssl · openssl is needed" >&2; exit 69; }
    mkdir -p "$folder"
    chmod 0700 "$folder"
    secret token_keys "k1:$(random 32)"
    secret envelope_keys "e1:$(random 32)"
    secret internal_key "$(random 32)"
    secret admin_password "$(random 12)"
    secret grafana_admin_password "$(random 12)"
    secret postgres_password "$(random 24)"
    local service
    for service in auth report order sync; do
        secret "database_url_$service" "postgres://baodan_$service:$(random 24)@postgres:5432/baodan_$service"
    done
    local password
    if [ ! -s "$folder/redis_url" ]; then
        password=$(random 24)
        rm -f "$folder/redis_auth"
        secret redis_auth "requirepass $password"
        secret redis_url "redis://:$password@redis:6379/0"
    fi
    if [ ! -s "$folder/bus_url" ]; then
        password=$(random 24)
        rm -f "$folder/rabbitmq_definitions"
        secret rabbitmq_definitions "$(sed "s|@PASSWORD_HASH@|$(rabbitmq_hash "$password")|" deploy/rabbitmq/definitions.json)"
        secret bus_url "amqp://baodan:$password@rabbitmq:5672/baodan"
    fi
}

write_secrets
[ "${1:-}" = --secrets-only ] && exit

profile=()
[ "${OBSERVE:-1}" = 1 ] && profile=(--profile observe)
build=()
[ "${BUILD:-1}" = 1 ] && build=(--build)
compose "${profile[@]}" up --detach --wait --wait-timeout 600 "${build[@]}"

address=${BAODAN_PUBLISH:-127.0.0.1:8080}
cat <<TEXT

  报单已启动 · Baodan is up

  网关 gateway     http://$address    接口文档 API documents: http://$address/docs
  账号 account     admin              密码 password: cat $folder/admin_password
  停止 stop        docker compose --profile observe down     （数据保留 · data stays）
TEXT
[ "${OBSERVE:-1}" = 1 ] && cat <<'TEXT'
  Grafana         未对外发布 · not published; to open it on http://127.0.0.1:3000 (admin, secrets/grafana_admin_password):
                  docker compose -f docker-compose.yml -f compose.observe.yml --profile observe up -d
TEXT
exit 0
