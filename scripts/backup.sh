#!/usr/bin/env bash
# 数据库的备份与按时间点恢复（docker compose）。 Backups of the databases and point-in-time restore, for docker compose with compose.backup.yml.
#
#   BAODAN_BACKUP=/mnt/backup scripts/backup.sh base             a base backup; daily, by cron
#   BAODAN_BACKUP=/mnt/backup scripts/backup.sh prune DAYS       delete base backups older than DAYS, and the WAL that none left needs
#   BAODAN_BACKUP=/mnt/backup scripts/backup.sh restore BASE ["2026-11-21 10:00:00+08"]
#                              replaces ALL databases by BASE, rolled forward to the end of the archive or to that time
# shellcheck disable=SC2016 # what stands in single quotes is for the shell in the container
set -euo pipefail
cd "$(dirname "$0")/.."
: "${BAODAN_BACKUP:?set it to the folder of the backups}"
export BAODAN_BACKUP

# shellcheck disable=SC2086 # "docker compose" and its files are several words
compose() { ${COMPOSE:-docker compose} ${COMPOSE_FILES:--f docker-compose.yml -f compose.backup.yml} "$@"; }
in_postgres() { compose exec -T postgres "$@"; }

base() {
    local name
    name=base-$(date -u +%Y%m%dT%H%M%SZ)
    in_postgres mkdir -p /backup/wal
    # They would be in every backup from now on.
    in_postgres sh -c '! ls -d "$PGDATA"/.before-restore-* 2> /dev/null' \
        || { echo "这些旧数据还在 · old data of a restore is still there; delete it first" >&2; exit 1; }
    in_postgres pg_basebackup -U postgres -D "/backup/$name.part" -Ft -z -X none --checkpoint=fast --manifest-checksums=SHA256
    # The WAL of the backup itself is archived by its end; only a whole backup gets its name.
    in_postgres mv "/backup/$name.part" "/backup/$name"
    echo "$name"
}

prune() {
    local days=$1 oldest
    in_postgres find /backup -maxdepth 1 -name 'base-*' -mtime "+$days" -exec rm -rf {} +
    oldest=$(in_postgres sh -c 'ls -d /backup/base-*Z | head -1')
    # The first WAL file that the oldest base backup needs stands in its label.
    in_postgres sh -c "tar -xOzf $oldest/base.tar.gz backup_label | sed -n 's/^START WAL LOCATION.*(file \(.*\))/\1/p'" \
        | while read -r first; do in_postgres pg_archivecleanup -x .gz /backup/wal "$first"; done
}

restore() {
    local base=$1 time=${2:-}
    echo "全部数据库将被替换 · all databases will be replaced by $base, ${time:-to the end of the archive}; sure? (yes)"
    if [ "${YES:-}" != 1 ]; then
        read -r answer
        [ "$answer" = yes ] || exit 1
    fi
    compose stop gateway auth-service report-service order-service sync-service postgres
    # The old data folder is kept beside the new one until somebody deletes it.
    compose run --rm -T --no-deps --entrypoint sh -e BASE="$base" -e TARGET="$time" postgres -ec '
        cd /var/lib/postgresql/data
        old=.before-restore-$(date -u +%Y%m%dT%H%M%SZ)
        mkdir "$old"
        for entry in $(ls -A); do
            case "$entry" in .before-restore-*) ;; *) mv "$entry" "$old/" ;; esac
        done
        tar -xzf "/backup/$BASE/base.tar.gz"
        chmod 0700 .
        touch recovery.signal
        {
            echo "restore_command = '\''gunzip -c /backup/wal/%f.gz > %p'\''"
            [ -z "$TARGET" ] || echo "recovery_target_time = '\''$TARGET'\''"
            echo "recovery_target_action = promote"
        } >> postgresql.auto.conf'
    compose up --detach --wait --wait-timeout 3600 postgres
    until [ "$(in_postgres psql -U postgres -Atc 'SELECT pg_is_in_recovery()')" = f ]; do sleep 1; done
    in_postgres psql -U postgres -qc 'ALTER SYSTEM RESET restore_command' -c 'ALTER SYSTEM RESET recovery_target_time' \
        -c 'ALTER SYSTEM RESET recovery_target_action' -c 'SELECT pg_reload_conf()' > /dev/null
    echo "旧数据 · the old data: .before-restore-… in the volume of PostgreSQL; delete it when it is not needed any more"
    echo "已恢复 · restored. Read docs/operations.md, \"After a restore\", before starting the services."
}

case "${1:-}" in
    base) base ;;
    prune) prune "${2:?days}" ;;
    restore) restore "${2:?the name of a base backup}" "${3:-}" ;;
    *) sed -n '2,9p' "$0"; exit 64 ;;
esac
