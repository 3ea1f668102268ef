#!/usr/bin/env python3
"""Whether `make test` counts honestly: runs test.py's own counting on a crate that passes, fails, aborts, does not build."""

import os
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import test as runner  # noqa: E402

# Named like the program: the runner's configuration, used as it is, has an override for that package.
MANIFEST = '[package]\nname = "baodan"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n'
PASSES = "#[test]\nfn passes() {}\n"
FAILS = "#[test]\nfn fails() { panic!() }\n"
ABORTS = "#[test]\nfn aborts() { std::process::abort() }\n"
BROKEN = "#[test]\nfn broken() { nonsense }\n"


class Counting(unittest.TestCase):
    def tally(self, tests):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "src").mkdir()
            (root / "tests/it").mkdir(parents=True)
            (root / "Cargo.toml").write_text(MANIFEST)
            (root / "src/lib.rs").write_text("")
            (root / "tests/it/main.rs").write_text(tests)
            (root / ".config").mkdir()
            shutil.copy(runner.ROOT / ".config/nextest.toml", root / ".config")
            before, runner.ROOT = runner.ROOT, root
            saved = os.environ.get("CARGO_TARGET_DIR")
            os.environ["CARGO_TARGET_DIR"] = str(root / "elsewhere")
            try:
                tally = runner.Tally()
                runner.tests(tally, self.mode, {}, self.both_modes)
            finally:
                runner.ROOT = before
                os.environ.pop("CARGO_TARGET_DIR")
                if saved:
                    os.environ["CARGO_TARGET_DIR"] = saved
            return tally.passed, tally.failed

    mode, both_modes = "embedded", "all()"

    def test_what_passed_and_failed_is_counted(self):
        self.assertEqual(self.tally(PASSES + FAILS), (1, 1))

    def test_the_other_mode_is_counted_the_same_way(self):
        self.mode = "distributed"
        self.assertEqual(self.tally(PASSES + FAILS), (1, 1))

    def test_an_aborted_test_is_a_failure(self):
        passed, failed = self.tally(PASSES + ABORTS)
        self.assertGreaterEqual(failed, 1, (passed, failed))

    def test_what_does_not_build_is_a_failure(self):
        self.assertEqual(self.tally(BROKEN), (0, 1))

    def test_no_test_at_all_is_a_failure(self):
        self.assertEqual(self.tally(""), (0, 1))

    def test_the_last_line_of_libtest_is_not_enough(self):
        two = "test result: ok. 3 passed; 0 failed; 0 ignored\ntest result: FAILED. 1 passed; 2 failed; 0 ignored\n"
        self.assertEqual(runner.libtest_counts(two), (4, 2))
        self.assertIsNone(runner.libtest_counts("error: could not compile"))


class WithoutNextest(Counting):
    def setUp(self):
        self.which, runner.shutil.which = runner.shutil.which, lambda name: None

    def tearDown(self):
        runner.shutil.which = self.which


if __name__ == "__main__":
    unittest.main(verbosity=0)
