"""Schemathesis against docs/openapi.json and a running `baodan`: whatever a client sends, no answer is a 5xx.

A fresh embedded system on loopback; a fixed seed and a bounded number of examples. Called by check-api.sh.

    check_api.py BAODAN SCHEMATHESIS
"""

import json
import os
import pathlib
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/openapi.json"
SEED = 20261126
EXAMPLES = 12
# Of one part of the run, which fails when it takes longer; it takes a quarter of that.
PART_SECONDS = 300

# What is not called, and why.
LEFT_OUT = {
    "ACCESS_LOGOUT": "ends the run's own session",
    "ACCESS_REVOKE": "ends the run's own session",
    "CALLBACK_SUBSCRIPTION_TEST": "dials addresses that the run makes up",
    "CALLBACK_SUBSCRIPTION_PROBE": "dials addresses that the run makes up",
}
# May take the run's own rights or account away, so they come last, by themselves.
IDENTITY = ("/api/access/", "/api/account", "/api/role", "/api/permission")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def sign_in(url, password):
    form = urllib.parse.urlencode({"account": "admin", "password": password}).encode()
    with urllib.request.urlopen(f"{url}/api/access/token", form, timeout=10) as answer:
        return json.load(answer)["data"]["token"]


def ready(url, process):
    for _ in range(300):
        if process.poll() is not None:
            return False
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):
                return True
        except OSError:
            time.sleep(0.1)
    return False


def operations():
    """(the rest, identity): operation ids."""
    parts = ([], [])
    for path, item in json.loads(DOCUMENT.read_text())["paths"].items():
        for method, operation in item.items():
            name = operation["operationId"]
            if name not in LEFT_OUT:
                parts[method != "get" and path.startswith(IDENTITY)].append(name)
    return [sorted(set(part)) for part in parts]


def attack(program, url, token, names):
    """One part of the run; answers the number of operations it tested, or `None` with its output shown."""
    include = [word for name in names for word in ("--include-operation-id", name)]
    command = [
        program, "run", str(DOCUMENT), "--url", url, "--header", f"Authorization: Bearer {token}",
        "--phases", "examples,coverage,fuzzing", "--checks", "not_a_server_error", "--mode", "all",
        "--max-examples", str(EXAMPLES), "--seed", str(SEED), "--generation-deterministic",
        # One worker: hypothesis trips over CPython's parser in several threads.
        "--request-timeout", "20", "--continue-on-failure", "--workers", "1",
        "--warnings", "off", "--suppress-health-check", "all", "--no-color", *include,
    ]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", timeout=PART_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"schemathesis was not through after {PART_SECONDS} s", flush=True)
        return None
    tested = re.search(r"Tested: (\d+)", done.stdout)
    summary = done.stdout[done.stdout.find("= SUMMARY ="):]
    print(done.stdout if done.returncode else " ".join(re.findall(r"Tested: \d+|\d+ generated, \d+ passed", summary)), flush=True)
    return int(tested.group(1)) if done.returncode == 0 and tested else None


def run(baodan, schemathesis, folder):
    port, password = free_port(), secrets.token_hex(12)
    url = f"http://127.0.0.1:{port}"
    environment = {
        "BAODAN_LISTEN": f"127.0.0.1:{port}", "BAODAN_DATA_DIR": f"{folder}/data", "BAODAN_ADMIN_PASSWORD": password,
        # No made-up callback address is ever dialled: none of them names this port.
        "BAODAN_CALLBACK__PORTS": "1",
        "BAODAN_TELEMETRY__LOG": "error",
    }
    log = pathlib.Path(folder, "log")
    with open(log, "wb") as output:
        process = subprocess.Popen([baodan], env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    problems = []
    try:
        if not ready(url, process):
            return [f"the system does not get ready:\n{log.read_text()}"]
        parts = operations()
        for names in parts:
            tested = attack(schemathesis, url, sign_in(url, password), names)
            if tested is None:
                problems.append("schemathesis found answers of 5xx, or did not come to its end")
            elif tested < len(names):
                problems.append(f"only {tested} of {len(names)} operations were tested")
        if process.poll() is not None:
            problems.append(f"the system ended with {process.returncode}")
        else:
            process.send_signal(signal.SIGTERM)
            if process.wait(timeout=40) != 0:
                problems.append(f"the system ended with {process.returncode} instead of in order")
    finally:
        process.kill()
    said = log.read_text(errors="replace")
    if "panicked" in said or problems:
        problems.append(f"the system's log:\n{said[-8000:]}")
    return problems


def main():
    baodan, schemathesis = sys.argv[1:3]
    with tempfile.TemporaryDirectory(prefix="baodan-check-api-") as folder:
        problems = run(os.path.abspath(baodan), schemathesis, folder)
    for text in problems:
        print(f"✗ {text}", file=sys.stderr)
    print(f"{'✗' if problems else '✓'} API: {len(problems)} problems; not called: {', '.join(LEFT_OUT)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
