#!/usr/bin/env python3
"""Whether scripts/fuzz.sh tells a crash, a hang and a program without instrumentation from a good run."""

import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOADED = "echo 'INFO: Loaded 1 modules   (12 inline 8-bit counters): 12'\n"
RAN = """printf '#8\\tINITED cov: 5 ft: 5 corp: 3/9b exec/s: 0 rss: 30Mb\\n'
echo '#40 DONE cov: 7 ft: 9 corp: 4/12b lim: 4 exec/s: 0 rss: 30Mb'
echo 'stat::number_of_executed_units: 40'
"""
CRASHES = "echo 'artifact_prefix=x; Test unit written to fuzz/artifacts/template/crash-1'; exit 77\n"


class Runs(unittest.TestCase):
    def run_short(self, program):
        """Runs a target whose program is this shell script: exit code and output."""
        host = next(l.split()[1] for l in subprocess.check_output(["rustc", "-vV"], text=True).splitlines() if l.startswith("host:"))
        with tempfile.TemporaryDirectory() as folder:
            if program is not None:
                path = pathlib.Path(folder) / host / "debug" / "template"
                path.parent.mkdir(parents=True)
                path.write_text("#!/bin/sh\n" + program)
                path.chmod(0o755)
            env = {**os.environ, "CARGO_TARGET_DIR": folder}
            done = subprocess.run([ROOT / "scripts/fuzz.sh", "short", "template"], env=env, capture_output=True, text=True)
            return done.returncode, done.stdout + done.stderr

    def test_a_good_run_says_how_far_it_came(self):
        code, text = self.run_short(LOADED + RAN)
        self.assertEqual(code, 0, text)
        self.assertIn("template: 40 inputs", text)
        self.assertIn("edges 5 -> 7, corpus 4/12b", text)

    def test_a_crash_fails_and_says_how_to_repeat_it(self):
        code, text = self.run_short(LOADED + RAN + CRASHES)
        self.assertEqual(code, 1, text)
        self.assertIn("scripts/fuzz.sh repeat template fuzz/artifacts/template/crash-1", text)

    def test_an_end_without_an_input_fails_too(self):
        code, text = self.run_short(LOADED + "kill -9 $$\n")
        self.assertEqual(code, 1, text)
        self.assertIn("137", text)

    def test_a_program_that_is_not_instrumented_fails(self):
        code, text = self.run_short(RAN)
        self.assertEqual(code, 1, text)
        self.assertIn("is not instrumented", text)

    def test_a_run_that_tries_nothing_fails(self):
        self.assertEqual(self.run_short(LOADED)[0], 1)

    def test_a_program_that_is_not_there_fails(self):
        code, text = self.run_short(None)
        self.assertEqual(code, 1, text)
        self.assertIn("scripts/fuzz.sh build", text)


if __name__ == "__main__":
    unittest.main(verbosity=0)
