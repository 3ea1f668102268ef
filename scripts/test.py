#!/usr/bin/env python3
"""`make test`: every check and every test in both modes, and one honest line at the end.

A step that fails does not keep the others from running; one that could not run counts as a failure.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree

import servers

ROOT = pathlib.Path(__file__).resolve().parent.parent
# In the other mode only what runs services; pure unit tests would say the same again.
BOTH_MODES = "kind(test) - package(contracts)"


class Tally:
    """What has passed and failed so far, and what to tell about it at the end."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.lines = []

    def add(self, what, passed, failed, seconds, note=""):
        self.passed += passed
        self.failed += failed
        verdict = "FAIL" if failed else "ok"
        self.lines.append(f"{verdict:>4}  {what}: {passed} passed, {failed} failed ({seconds:.0f} s){' — ' + note if note else ''}")


def banner(text):
    print(f"\n=== {text}", flush=True)


def check(tally, what, command, quiet=False):
    """A step that counts as one; `quiet` shows its output only if it fails."""
    banner(what)
    started = time.monotonic()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if quiet else {}
    done = subprocess.run(command, cwd=ROOT, text=True, **pipes)
    ok = done.returncode == 0
    if quiet and not ok:
        print(done.stdout, flush=True)
    tally.add(what, int(ok), int(not ok), time.monotonic() - started)


def junit_counts(path):
    """(passed, failed) of a nextest report; `None` when there is none."""
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return None
    cases = root.findall(".//testcase")
    failed = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
    return len(cases) - failed, failed


def libtest_counts(text):
    """(passed, failed) of the output of `cargo test`."""
    results = re.findall(r"^test result: \w+\. (\d+) passed; (\d+) failed", text, re.MULTILINE)
    return (sum(int(p) for p, _ in results), sum(int(f) for _, f in results)) if results else None


def tests(tally, mode, env, both_modes=BOTH_MODES):
    """All tests of one mode."""
    what = f"tests, {mode}"
    banner(what)
    started = time.monotonic()
    env = {**os.environ, **env, "BAODAN_TEST_MODE": mode}
    if shutil.which("cargo-nextest"):
        code, counts = nextest(mode, env, both_modes)
    else:
        print("cargo-nextest is not installed; cargo test does the same, a little slower", flush=True)
        code, counts = libtest(mode, env)
    passed, failed = counts or (0, 0)
    note = ""
    if counts is None:
        failed, note = 1, "did not build or did not start"
    elif code != 0 and failed == 0:
        failed, note = 1, f"ended with exit code {code} though no test failed"
    elif passed + failed == 0:
        failed, note = 1, "there was no test"
    tally.add(what, passed, failed, time.monotonic() - started, note)


def nextest(mode, env, both_modes):
    profile = "distributed" if mode == "distributed" else "default"
    # nextest's store lies below the workspace, whatever CARGO_TARGET_DIR says.
    report = ROOT / "target" / "nextest" / profile / "junit.xml"
    report.unlink(missing_ok=True)
    command = ["cargo", "nextest", "run", "--workspace", "--profile", profile]
    if mode == "distributed":
        command += ["-E", both_modes]
    code = subprocess.run(command, cwd=ROOT, env=env).returncode
    return code, junit_counts(report)


def libtest(mode, env):
    command = ["cargo", "test", "--workspace", "--no-fail-fast"]
    command += ["--test", "*"] if mode == "distributed" else ["--lib", "--bins", "--tests"]
    lines = []
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            sys.stdout.write(line)
            lines.append(line)
    return process.returncode, libtest_counts("".join(lines))


def components(tally):
    """rustfmt and clippy, which a minimal tool chain leaves out."""
    for tool in ("fmt", "clippy"):
        if subprocess.run(["cargo", tool, "--version"], cwd=ROOT, capture_output=True).returncode != 0:
            name = "rustfmt" if tool == "fmt" else tool
            check(tally, f"rustup component add {name}", ["rustup", "component", "add", name])


def lint(tally):
    components(tally)
    check(tally, "format", ["cargo", "fmt", "--all", "--check"])
    check(tally, "format of the fuzz targets", ["cargo", "fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"])
    check(tally, "boundary checker's own test", [sys.executable, "scripts/check_boundaries_test.py"], quiet=True)
    check(tally, "test counter's own test", [sys.executable, "scripts/tally_test.py"], quiet=True)
    check(tally, "fuzz runner's own test", [sys.executable, "scripts/fuzz_test.py"], quiet=True)
    check(tally, "boundaries", [sys.executable, "scripts/check_boundaries.py"])
    fuzzed = "gateway/fuzzing,order-service/fuzzing,report-service/fuzzing"
    clippy = ["cargo", "clippy", "--workspace", "--all-targets", "--features", fuzzed, "--quiet", "--", "-D", "warnings"]
    check(tally, "clippy", clippy)


def deployment(tally):
    """What is shipped beside the programs; the scripts bring their tools along or fail saying what is missing."""
    check(tally, "deployment files", ["scripts/check-deploy.sh"], quiet=True)
    check(tally, "licences and sources of the dependencies", ["scripts/check-supply.sh"], quiet=True)


def fuzzing(tally):
    """Every fuzz target for some seconds; a crash is a failure and says how to repeat it."""
    check(tally, "fuzz targets build", ["scripts/fuzz.sh", "build"], quiet=True)
    for corpus in sorted((ROOT / "fuzz/corpus").iterdir()):
        check(tally, f"fuzz {corpus.name}", ["scripts/fuzz.sh", "short", corpus.name])


def start_servers(tally):
    banner("servers")
    started = time.monotonic()
    urls, failures = servers.ensure_all()
    for failure in failures:
        print(f"servers: {failure}", flush=True)
    tally.add("PostgreSQL, Redis, RabbitMQ, Chromium", len(urls), len(failures), time.monotonic() - started)
    return urls


def main(arguments):
    if not shutil.which("cargo"):
        print("cargo is missing: install Rust from https://rustup.rs")
        print("0 passed, 1 failed")
        return 1
    tally = Tally()
    if "--lint" in arguments:
        lint(tally)
    else:
        urls = start_servers(tally)
        lint(tally)
        deployment(tally)
        fuzzing(tally)
        tests(tally, "embedded", urls)
        check(tally, "schemathesis against a running system", ["scripts/check-api.sh"], quiet=True)
        tests(tally, "distributed", urls)
    print()
    print("\n".join(tally.lines))
    print(f"{tally.passed} passed, {tally.failed} failed", flush=True)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
