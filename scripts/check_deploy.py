"""Checks that no linter knows: rendered objects against the schemas of Kubernetes and against the rules of this system,
PromQL in alerts and dashboards, metrics against the source, alerts against the runbook. Called by check-deploy.sh."""

import ipaddress
import json
import pathlib
import re
import subprocess
import sys

import promql_parser
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Custom resources: their schemas are the operators', which kubernetes-validate does not carry.
CUSTOM = {
    ("postgresql.cnpg.io/v1", "Cluster"), ("postgresql.cnpg.io/v1", "Database"), ("rabbitmq.com/v1beta1", "RabbitmqCluster"),
    ("external-secrets.io/v1", "ExternalSecret"), ("gateway.networking.k8s.io/v1", "Gateway"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"), ("monitoring.coreos.com/v1", "PodMonitor"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
}
# Metrics of engines and of Prometheus itself; all others must be made somewhere in the source.
FOREIGN = re.compile(r"^(rabbitmq_|otelcol_|prometheus_|up$|scrape_)")
problems = []


def problem(text):
    problems.append(text)


def kubernetes(rendered):
    """One overlay: schemas, and what must be true of every pod."""
    objects = [o for o in yaml.safe_load_all(rendered.read_text()) if o]
    plain = [o for o in objects if (o["apiVersion"], o["kind"]) not in CUSTOM]
    file = rendered.with_suffix(".plain.yaml")
    file.write_text(yaml.safe_dump_all(plain))
    ran = subprocess.run(["kubernetes-validate", "--strict", "--quiet", str(file)], capture_output=True, text=True)
    if ran.returncode:
        problem(f"{rendered.name}: {ran.stdout}{ran.stderr}")
    maps = {o["metadata"]["name"] for o in objects if o["kind"] == "ConfigMap"}
    for o in objects:
        pod = o.get("spec", {}).get("template", {}).get("spec") if o["kind"] in ("Deployment", "StatefulSet", "Job") else None
        if pod:
            closed_pod(f"{rendered.name}: {o['kind']} {o['metadata']['name']}", pod, maps)
    services = [o for o in objects if o["kind"] == "Deployment" and o["metadata"]["labels"].get("app.kubernetes.io/component") == "service"]
    if len(services) != 5:
        problem(f"{rendered.name}: {len(services)} services instead of 5")
    for kind in ("PodDisruptionBudget", "HorizontalPodAutoscaler", "Service"):
        names = {o["metadata"]["name"] for o in objects if o["kind"] == kind}
        for service in services:
            if service["metadata"]["name"] not in names:
                problem(f"{rendered.name}: {service['metadata']['name']} has no {kind}")


def production_is_whole(rendered):
    """What the documents promise of the production overlay is in it."""
    objects = [o for o in yaml.safe_load_all(rendered.read_text()) if o]
    kinds = {o["kind"] for o in objects}
    for kind in ("Cluster", "RabbitmqCluster", "ExternalSecret", "PodMonitor", "PrometheusRule", "NetworkPolicy"):
        if kind not in kinds:
            problem(f"{rendered.name}: no {kind}")
    if not kinds & {"Ingress", "HTTPRoute"}:
        problem(f"{rendered.name}: nothing leads in")
    for o in objects:
        name = o["metadata"]["name"]
        if o["kind"] == "Deployment" and o["metadata"]["labels"].get("app.kubernetes.io/component") == "service":
            spread = {c["topologyKey"] for c in o["spec"]["template"]["spec"].get("topologySpreadConstraints", [])}
            if spread != {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}:
                problem(f"{rendered.name}: {name} is spread over {spread or 'nothing'}")
            if "replicas" in o["spec"]:
                problem(f"{rendered.name}: {name} names its replicas, which its autoscaler decides")
        if o["kind"] == "HorizontalPodAutoscaler" and name == "sync-service":
            metrics = {m.get("external", {}).get("metric", {}).get("name") for m in o["spec"]["metrics"]}
            if "baodan_sync_queue_messages" not in metrics:
                problem(f"{rendered.name}: sync-service does not scale by its queues")
            if "baodan_sync_queue_messages" not in (ROOT / "docs/operations.md").read_text():
                problem("docs/operations.md does not say where baodan_sync_queue_messages comes from")


def closed_pod(where, pod, maps):
    """The restricted pod security standard, a read-only root, limits, probes, and references that exist."""
    security = pod.get("securityContext", {})
    if not security.get("runAsNonRoot") or security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        problem(f"{where} may run as root or without seccomp")
    if pod.get("enableServiceLinks") is not False or pod.get("automountServiceAccountToken") is not False:
        problem(f"{where} has service links or a token")
    mounted = {v["name"] for v in pod.get("volumes", [])}
    claims = {"data"}
    for container in pod["containers"]:
        inner = container.get("securityContext", {})
        if inner.get("allowPrivilegeEscalation") is not False or not inner.get("readOnlyRootFilesystem") or inner.get("capabilities", {}).get("drop") != ["ALL"]:
            problem(f"{where} is not closed")
        if "memory" not in container.get("resources", {}).get("limits", {}):
            problem(f"{where} has no memory limit")
        if pod.get("restartPolicy") != "Never" and "readinessProbe" not in container:
            problem(f"{where} has no readiness probe")
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in mounted | claims:
                problem(f"{where} mounts {mount['name']}, which is no volume")
        secret_files = {f"/run/secrets/baodan/{i['path']}" for v in pod.get("volumes", []) for i in v.get("secret", {}).get("items", [])}
        for variable in container.get("env", []):
            value = variable.get("value", "")
            if variable["name"].endswith("_FILE") and value.startswith("/run/secrets/baodan/") and value not in secret_files:
                problem(f"{where}: {variable['name']} names {value}, which is not mounted")
        for source in container.get("envFrom", []):
            if source["configMapRef"]["name"] not in maps:
                problem(f"{where} reads {source}, which is not rendered")


def compose(config):
    """Only the gateway is published; every service of ours is closed, and its secrets are those that it names."""
    for name, service in config["services"].items():
        if service.get("ports") and name != "gateway":
            problem(f"docker-compose.yml publishes {name}")
        if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
            problem(f"docker-compose.yml: {name} is not closed")
        if "memory" not in service["deploy"]["resources"]["limits"]:
            problem(f"docker-compose.yml: {name} has no memory limit")
        given = {f"/run/secrets/{s['source']}" for s in service.get("secrets", [])}
        for key, value in (service.get("environment") or {}).items():
            if key.endswith("_FILE") and value not in given:
                problem(f"docker-compose.yml: {name} reads {value}, which it is not given")
    if not config["networks"]["backend"].get("internal"):
        problem("docker-compose.yml: the backend can reach the outside")


def settings_exist(config, rendered):
    """Every BAODAN_ variable names a setting: its last part is a field in the source of the settings."""
    sources = [*(ROOT / "shared/platform/src").rglob("settings*.rs"), *(ROOT / "shared/platform/src/settings").glob("*.rs"),
               *(ROOT / "shared/platform/src").rglob("mod.rs")]
    fields = set(re.findall(r"pub (\w+):", "\n".join(p.read_text() for p in sources)))
    fields |= {"auth", "report", "order", "sync"}  # keys of gateway.upstreams
    names = {k for s in config["services"].values() for k in (s.get("environment") or {})}
    for file in rendered:
        names |= set(re.findall(r"\bBAODAN_[A-Z_]+", file.read_text()))
    for name in sorted(n for n in names if n.startswith("BAODAN_")):
        path = name.removeprefix("BAODAN_").removesuffix("_FILE").lower().split("__")
        if not all(part in fields for part in path):
            problem(f"{name} is no setting")


def metrics_made():
    """Names of the metrics that the source makes."""
    names = set()
    for file in ROOT.glob("**/src/**/*.rs"):
        if "target" not in file.parts:
            names |= set(re.findall(r"(?:counter|gauge|histogram)!\(\s*\"(\w+)\"", file.read_text()))
    return names


def expression(where, text, made):
    """PromQL that parses, over metrics that exist."""
    text = re.sub(r"\$__rate_interval|\$__interval", "5m", text)
    text = re.sub(r"\$\{?\w+\}?", "x", text)
    try:
        promql_parser.parse(text)
    except ValueError as e:
        problem(f"{where}: {e}: {text}")
        return
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    for name in re.findall(r"\b([a-z_:][a-z0-9_:]*)\b(?!\s*\()", bare):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        if name in {"by", "without", "or", "and", "unless", "bool", "on", "ignoring", "offset"} or FOREIGN.match(name):
            continue
        if name not in made and base not in made:
            problem(f"{where}: nothing makes the metric {name}")


def alerts(made):
    groups = yaml.safe_load((ROOT / "deploy/prometheus/rules/baodan.yml").read_text())["groups"]
    runbook = (ROOT / "docs/runbook.md").read_text()
    headings = {h.strip().lower() for h in re.findall(r"^### (\w+)", runbook, re.M)}
    named = set()
    for group in groups:
        for rule in group["rules"]:
            name = rule["alert"]
            named.add(name.lower())
            expression(f"alert {name}", rule["expr"], made)
            if rule["annotations"].get("runbook") != f"docs/runbook.md#{name.lower()}" or name.lower() not in headings:
                problem(f"alert {name} has no paragraph in docs/runbook.md")
            if rule["labels"].get("severity") not in ("page", "ticket"):
                problem(f"alert {name} has no severity")
    for heading in headings - named:
        problem(f"docs/runbook.md explains {heading}, which is no alert")
    return groups


def dashboards(made):
    files = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
    if len(files) != 4:
        problem(f"{len(files)} dashboards instead of 4")
    uids = set()
    for file in files:
        board = json.loads(file.read_text())
        uids.add(board["uid"])
        panels = [p for p in board["panels"] if p["type"] != "row"]
        ids = [p["id"] for p in board["panels"]]
        if len(ids) != len(set(ids)):
            problem(f"{file.name}: panel ids repeat")
        for panel in panels:
            for target in panel.get("targets", []):
                expression(f"{file.name}, {panel['title']}", target["expr"], made)
            if panel["type"] != "text" and not panel.get("targets"):
                problem(f"{file.name}, {panel['title']}: no query")
    if len(uids) != len(files):
        problem("dashboards share a uid")


def same_rules_in_kubernetes(groups, rendered):
    for file in rendered:
        for o in yaml.safe_load_all(file.read_text()):
            if o and o["kind"] == "PrometheusRule" and o["spec"]["groups"] != groups:
                problem(f"{file.name}: the PrometheusRule differs from deploy/prometheus/rules/baodan.yml")


def the_fence_is_the_guard(rendered):
    """Callbacks: what sync-service refuses to dial, the NetworkPolicy does not let through either."""
    source = (ROOT / "sync-service/src/delivery/guard.rs").read_text()
    refused = set()
    for name in ("NEVER_V4", "PRIVATE_V4"):
        block = re.search(rf"const {name}:.*?\];", source, re.S).group(0)
        for octets, bits in re.findall(r"Ipv4Addr::new\(([\d, ]+)\), (\d+)", block):
            refused.add(ipaddress.ip_network(f"{octets.replace(', ', '.')}/{bits}"))
    if len(refused) < 15:
        problem(f"only {len(refused)} networks were found in guard.rs")
    for file in rendered:
        policies = [o for o in yaml.safe_load_all(file.read_text()) if o and o["kind"] == "NetworkPolicy"]
        if not any(p["spec"]["podSelector"] == {} and set(p["spec"]["policyTypes"]) == {"Ingress", "Egress"} and "egress" not in p["spec"] for p in policies):
            problem(f"{file.name}: nothing denies by default")
        for policy in policies:
            for rule in policy["spec"].get("egress", []):
                for block in (to["ipBlock"] for to in rule.get("to", []) if "ipBlock" in to):
                    if ":" in block["cidr"] or "sync-service" not in str(policy["spec"]["podSelector"]):
                        continue
                    except_ = [ipaddress.ip_network(n) for n in block.get("except", [])]
                    for network in refused:
                        if not any(network.subnet_of(e) for e in except_) and not all(
                            any(half.subnet_of(e) for e in except_) for half in network.subnets()
                        ):
                            problem(f"{file.name}: {policy['metadata']['name']} lets {network} through")


def the_build_context_is_whole():
    """What the compiler reads passes .dockerignore: the members of the workspace and every included file."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = [line[1:] for line in lines if line.startswith("!")]
    members = re.search(r"members = \[(.*?)\]", (ROOT / "Cargo.toml").read_text(), re.S).group(1)
    needed = {(member, "a member of the workspace") for member in re.findall(r'"([^"]+)"', members)}
    for file in ROOT.glob("**/src/**/*.rs"):
        if "target" in file.parts:
            continue
        for target in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', file.read_text()):
            path = (file.parent / target).resolve().relative_to(ROOT)
            needed.add((str(path), f"included by {file.relative_to(ROOT)}"))
    for path, why in sorted(needed):
        if not any(path == a or path.startswith(a + "/") for a in allowed):
            problem(f".dockerignore keeps {path} out of the image build, {why}")


def tests_named_in_security_exist():
    """A security measure whose test is gone is none."""
    text = (ROOT / "docs/security.md").read_text()
    named = set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+){3,})`", text))
    found = set()
    for file in ROOT.glob("**/*.rs"):
        if "target" not in file.parts:
            found |= set(re.findall(r"fn (\w+)\(", file.read_text()))
    for name in sorted(named - found):
        problem(f"docs/security.md names the test {name}, which does not exist")
    if len(named) < 40:
        problem(f"docs/security.md names {len(named)} tests only")


def routes_in_the_docs_exist():
    """An instruction that names a route which is not there is found out at the worst moment."""
    routes = set(re.findall(r'"(/api/[^"]*)"', "".join(p.read_text() for p in (ROOT / "shared/contracts/src/routes").glob("*.rs"))))
    for name in ("runbook.md", "operations.md", "upgrade.md"):
        for path in re.findall(r"`(?:GET|POST|PUT|DELETE) (/api/[^`? ]*)", (ROOT / "docs" / name).read_text()):
            if path not in routes:
                problem(f"docs/{name} names {path}, which is no route")


def main(work):
    rendered = [work / "dev.yaml", work / "production.yaml"]
    for file in rendered:
        kubernetes(file)
    config = json.loads((work / "compose.json").read_text())
    production_is_whole(work / "production.yaml")
    compose(config)
    settings_exist(config, rendered)
    made = metrics_made()
    groups = alerts(made)
    dashboards(made)
    same_rules_in_kubernetes(groups, rendered)
    the_fence_is_the_guard(rendered)
    the_build_context_is_whole()
    tests_named_in_security_exist()
    routes_in_the_docs_exist()
    json.loads((ROOT / "deploy/rabbitmq/definitions.json").read_text())
    for text in problems:
        print(f"✗ {text}", file=sys.stderr)
    print(f"{'✗' if problems else '✓'} deployment: {len(problems)} problems")
    return 1 if problems else 0


sys.exit(main(pathlib.Path(sys.argv[1])))
