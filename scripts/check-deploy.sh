#!/usr/bin/env bash
# 检查部署文件。 Checks what deploys Baodan with the real tools, in well under a minute and without a Docker engine or a cluster:
# Dockerfiles, compose files, Kubernetes, alert rules, dashboards, shell. The tools: scripts/tools.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=scripts/tools.sh
. scripts/tools.sh
system_package openssl openssl
compose=$compose_program
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "· shell"
shellcheck scripts/*.sh deploy/*/*.sh deploy/docker/standins/*.sh

echo "· Dockerfiles"
hadolint deploy/docker/Dockerfile deploy/docker/standins/Dockerfile

echo "· compose"
BAODAN_SECRETS=$work/secrets scripts/up.sh --secrets-only
export BAODAN_SECRETS=$work/secrets BAODAN_TEST_SUBNET=10.213.77.0/24 BAODAN_TEST_HOST=10.213.77.1
"$compose" --profile observe config -q
export BAODAN_BACKUP=/mnt/backup
for more in compose.backup.yml compose.observe.yml compose.replicas.yml deploy/docker/compose.test.yml; do
    "$compose" -f docker-compose.yml -f "$more" --profile observe config -q
done
"$compose" -f compose.dev.yml config -q
compose-lint check --quiet --config deploy/docker/compose-lint.yml --fail-on low docker-compose.yml > "$work/lint.txt" || { cat "$work/lint.txt"; exit 1; }
"$compose" --profile observe config --format json > "$work/compose.json"

echo "· Kubernetes"
for overlay in dev production; do
    kubectl kustomize "deploy/k8s/overlays/$overlay" > "$work/$overlay.yaml"
done

echo "· YAML, rendered objects, rules, dashboards"
yamllint -s -c deploy/docker/yamllint.yml docker-compose.yml compose.*.yml deploy
python scripts/check_deploy.py "$work"
