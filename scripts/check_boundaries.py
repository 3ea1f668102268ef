#!/usr/bin/env python3
"""Checks what ARCHITECTURE.md promises about the source and a compiler does not: prints `file:line: [rule] what`.

Works on text from which comments and literals are blanked out, so it can err; what it says wrongly, or what has a
good reason, goes into boundary-exceptions.toml with that reason. An exception that no longer matches is reported.
"""

import bisect
import pathlib
import re
import sys
import tomllib

MAX_MAIN_LINES = 30
MAX_FUNCTION_LINES = 70
# A test may be a table of cases.
MAX_TEST_FUNCTION_LINES = 100
MAX_FILE_LINES = 400

SERVICES = {"auth-service", "report-service", "order-service", "sync-service"}
# May be in any process, so they may use the server's library.
ACTIX_CRATES = {"gateway", "shared/platform", "shared/testing", "deploy/all-in-one", "bench", "fuzz"}
RUNTIMES = re.compile(r"^(tokio|async-|futures|actix|awc|hyper|axum|tower|sea-orm|sqlx|reqwest|lapin|redis|platform|utoipa)")
ACTIX_FILE = re.compile(r"(^|/)(http[^/]*(/|\.rs$)|app\.rs$|main\.rs$)")
ACTIX = re.compile(r"\b(actix_\w+|actix|awc)\s*::")
QUERY_FILE = re.compile(r"(^|/)(store[^/]*\.rs$|store/|sql\.rs$|entities/|migrations/|migrations\.rs$)")
QUERY = re.compile(
    r"\b(EntityTrait|QueryFilter|QuerySelect|QueryOrder|QueryTrait|PaginatorTrait|ActiveModelTrait|ModelTrait"
    r"|Statement::from_string|from_sql_and_values|query_one_raw|query_all_raw|execute_raw|execute_unprepared|sea_query|sqlx)\b"
)
ORDER_WRITE_TEXT = re.compile(r"\b(UPDATE|INSERT\s+INTO|DELETE\s+FROM)\s+(?:\\?\")?orders\b", re.IGNORECASE)
ORDER_WRITE_CODE = re.compile(r"\borders::(ActiveModel\b|Entity::(insert|update|delete)\w*)")
TYPO = re.compile(r"\b(chage_state|vat_bank_accoun)\b")
# `date` is a good name for a day; as the name of a field that holds anything else it is the wire's misspelt `data`.
STRUCT = re.compile(r"\bstruct\s+\w+[^;{(]*\{")
DATE_FIELD = re.compile(r"\bdate\s*:(?!:)(?!\s*(?:Option<\s*)?(?:String|&\S*\s*str|[\w:]*Date\w*|i64)\b)")
SLEEP = re.compile(r"\bsleep(_until)?\s*\(")
IGNORED = re.compile(r"#\[ignore\b")
ALLOWED = re.compile(r"allow\([^)]*clippy::disallowed_methods")
SETTINGS = "shared/platform/src/settings.rs"

LITERAL = re.compile(
    r"""//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/"""
    r"""|\b(?:b|c|br|cr|r)?(?P<raw>(?<=r)\#*)"(?:.|\n)*?"(?P=raw)"""
    r"""|"(?:\\(?:.|\n)|[^"\\])*\""""
    r"""|'(?:\\(?:u\{[0-9a-fA-F_]+\}|x[0-9a-fA-F]{2}|.)|[^'\\\n])'"""
)
RAW = re.compile(r"""\b(?:b|c)?r(\#*)"(?:.|\n)*?"\1""")


class Source:
    """A Rust file: its text, and the same with comments and literals blanked out."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.code, self.strings = blank(text)
        self.starts = [0, *(m.end() for m in re.finditer("\n", text))]
        self.tests = test_ranges(self.code)

    def line(self, offset):
        return bisect.bisect_right(self.starts, offset)

    def in_tests(self, offset):
        return is_test_file(self.path) or any(a <= offset < b for a, b in self.tests)

    def code_lines(self):
        """Lines outside of test modules."""
        tests = sum(self.line(b - 1) - self.line(a) + 1 for a, b in self.tests)
        return len(self.text.splitlines()) - tests


def blank(text):
    """(code, strings): each as long as `text`, with everything else turned into spaces."""
    code, strings = list(text), [c if c == "\n" else " " for c in text]
    at = 0
    while match := next_literal(text, at):
        start, end = match
        for i in range(start, end):
            if text[i] != "\n":
                code[i] = " "
        if not text.startswith("/", start):
            strings[start:end] = text[start:end]
        at = end
    return "".join(code), "".join(strings)


def next_literal(text, at):
    plain, raw = LITERAL.search(text, at), RAW.search(text, at)
    if raw and (not plain or raw.start() <= plain.start()):
        return raw.span()
    return plain and plain.span()


def closing(code, opening):
    """Offset after the brace that closes the one at `opening`."""
    depth = 0
    for match in re.compile(r"[{}]").finditer(code, opening):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return match.end()
    return len(code)


def test_ranges(code):
    ranges = []
    for match in re.finditer(r"#\[cfg\(test\)\](?:\s*#\[[^\]]*\])*\s*(?:pub(?:\([a-z]+\))?\s+)?mod\s+\w+\s*\{", code):
        ranges.append((match.start(), closing(code, match.end() - 1)))
    return ranges


def functions(code):
    """(name, start, end) of every function with a body."""
    for match in re.finditer(r"\bfn\s+(\w+)", code):
        depth = 0
        for token in re.compile(r"[()\[\]{;]").finditer(code, match.end()):
            if token.group() in "([":
                depth += 1
            elif token.group() in ")]":
                depth -= 1
            elif depth == 0:
                if token.group() == "{":
                    yield match.group(1), match.start(), closing(code, token.start())
                break


def is_test_file(path):
    parts = path.split("/")
    return "tests" in parts[:-1] or parts[-1] == "tests.rs" or parts[-1].endswith("_tests.rs")


def crate_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] in ("shared", "deploy") else parts[0]


# --- rules on one file -----------------------------------------------------------------------------------------


def check_source(source):
    """Every violation in a file, as (offset, rule, item, what)."""
    path, crate = source.path, crate_of(source.path)
    inside = path[len(crate) + 1 :]
    if crate not in ACTIX_CRATES and not ACTIX_FILE.search(inside) and not is_test_file(path):
        for match in untested(source, ACTIX):
            yield match.start(), "actix", match.group(1), "actix is for http*.rs, app.rs and main.rs"
    if crate in SERVICES and not QUERY_FILE.search(inside) and not is_test_file(path):
        for match in untested(source, QUERY):
            yield match.start(), "queries", match.group(1), f"{match.group(1)}: queries are for store*.rs, sql.rs, entities/, migrations/"
    if crate == "order-service" and not inside.startswith(("src/lifecycle/", "src/migrations/", "src/migrations.rs")):
        yield from check_order_writes(source)
    yield from check_sizes(source, inside)
    for at, name in typos(source.code):
        yield at, "wire-typo", name, f"{name} is the wire's word: a serde rename carries it, Rust names are our own"
    for match in SLEEP.finditer(source.code):
        if source.in_tests(match.start()) or crate == "shared/testing" and is_test_file(path):
            yield match.start(), "sleep", "", "a test waits for a condition (testing::wait_until) or calls run_once"
    for match in IGNORED.finditer(source.code):
        yield match.start(), "ignored", "", "an ignored test is no test"
    if crate not in ("shared/platform", "shared/testing", "bench"):
        for match in ALLOWED.finditer(source.code):
            yield match.start(), "allow", "", "what clippy.toml forbids is for the platform alone"


def untested(source, pattern):
    return (m for m in pattern.finditer(source.code) if not source.in_tests(m.start()))


def typos(code):
    """(offset, name) of the wire's misspelt words among our own names."""
    for match in TYPO.finditer(code):
        yield match.start(), match.group(1)
    for struct in STRUCT.finditer(code):
        for field in DATE_FIELD.finditer(code, struct.end(), closing(code, struct.end() - 1)):
            yield field.start(), "date"


def check_order_writes(source):
    what = "the orders table is written by lifecycle/ alone: nothing else changes an order's state"
    found = [*ORDER_WRITE_TEXT.finditer(source.strings), *ORDER_WRITE_CODE.finditer(source.code)]
    for match in found:
        if not source.in_tests(match.start()):
            yield match.start(), "order-state", "", what


def check_sizes(source, inside):
    lines = len(source.text.splitlines())
    if inside.endswith("src/main.rs") and crate_of(source.path) in SERVICES | {"gateway"} and lines > MAX_MAIN_LINES:
        yield 0, "main-size", "", f"{lines} lines; main.rs has at most {MAX_MAIN_LINES}"
    if not is_test_file(source.path) and (lines := source.code_lines()) > MAX_FILE_LINES:
        yield 0, "file-size", "", f"{lines} lines without tests; a file has at most {MAX_FILE_LINES}"
    for name, start, end in functions(source.code):
        lines = source.line(end - 1) - source.line(start) + 1
        most = MAX_TEST_FUNCTION_LINES if source.in_tests(start) else MAX_FUNCTION_LINES
        if lines > most:
            yield start, "function-size", name, f"{name} has {lines} lines; a function has at most {most}"


# --- rules on manifests and settings ---------------------------------------------------------------------------


def dependencies(manifest):
    """Names in all dependency tables."""
    tables = [manifest, *manifest.get("target", {}).values()]
    kinds = ("dependencies", "dev-dependencies", "build-dependencies")
    return {name: kind for table in tables for kind in kinds for name in table.get(kind, {})}


def check_manifest(path, text):
    """Violations of a Cargo.toml, as (line, rule, item, what)."""
    crate = str(pathlib.PurePosixPath(path).parent)
    for name in dependencies(tomllib.loads(text)):
        lines = [n for n, line in enumerate(text.splitlines(), 1) if re.match(rf"\"?{re.escape(name)}\"?\s*[.=]", line.strip())]
        line = lines[0] if lines else 1
        if name in SERVICES | {"gateway"} and crate not in ("deploy/all-in-one", "bench", "fuzz", "."):
            yield line, "service-dependency", name, f"{crate} depends on {name}: services know each other by contracts alone"
        if crate == "shared/contracts" and RUNTIMES.match(name):
            yield line, "contracts-runtime", name, f"contracts depends on {name}: it holds types and data only"
        if crate == "shared/platform" and name == "testing":
            continue  # its own integration tests
        if crate in ("shared/platform", "shared/contracts") and name in ("baodan", "bench"):
            yield line, "service-dependency", name, f"{crate} depends on {name}"


def settings_names(sources):
    """Every setting as its variable, from the structs behind `Settings`."""
    structs = {}
    for source in sources:
        if not source.path.startswith("shared/platform/src/") or source.in_tests(0):
            continue
        for match in re.finditer(r"\bpub struct (\w+) \{", source.code):
            body = source.code[match.end() : closing(source.code, match.end() - 1)]
            structs[match.group(1)] = re.findall(r"\bpub (\w+): ([\w:<>, ]+),", body)

    def walk(name, prefix):
        for field, kind in structs.get(name, []):
            variable = prefix + field.upper()
            if kind in structs and kind.endswith("Settings"):
                yield from walk(kind, variable + "__")
            else:
                yield variable

    return set(walk("Settings", "BAODAN_"))


def check_sample(sample, names):
    """Violations of .env.sample, as (line, rule, item, what)."""
    listed = {}
    for n, line in enumerate(sample.splitlines(), 1):
        if match := re.match(r"#?\s?(BAODAN_\w+)=", line):
            listed.setdefault(match.group(1), n)
    for variable in sorted(names - {entry for entry in names for known in listed if known == entry or known.startswith(entry + "__")}):
        yield 1, "env-sample", variable, f"{variable} is a setting and is not listed"
    for variable, n in listed.items():
        if not any(variable == name or variable.startswith(name + "__") for name in names):
            yield n, "env-sample", variable, f"{variable} is listed and is no setting"


# --- the whole tree --------------------------------------------------------------------------------------------


def check_tree(root, exceptions):
    """Sentences to print, sorted; empty when all is well."""
    files = lambda pattern: sorted(p for p in root.glob(pattern) if not {"target", "node_modules"} & set(p.relative_to(root).parts))
    relative = lambda path: path.relative_to(root).as_posix()
    sources = [Source(relative(path), path.read_text()) for path in files("**/*.rs")]
    found = []
    for source in sources:
        found += [(source.path, source.line(at), rule, item, what) for at, rule, item, what in check_source(source)]
    for path in files("**/Cargo.toml"):
        found += [(relative(path), *violation) for violation in check_manifest(relative(path), path.read_text())]
    if (root / ".env.sample").exists() or (root / SETTINGS).exists():
        sample = (root / ".env.sample").read_text() if (root / ".env.sample").exists() else ""
        found += [(".env.sample", *violation) for violation in check_sample(sample, settings_names(sources))]
    return apply_exceptions(found, exceptions)


def apply_exceptions(found, exceptions):
    used = set()
    left = []
    for path, line, rule, item, what in found:
        excused = [
            n for n, e in enumerate(exceptions)
            if e["rule"] == rule and e["file"] == path and e.get("item", item) == item and e.get("reason")
        ]
        used.update(excused)
        # One word of an import line is enough to find the line.
        told = rule in ("queries", "actix") and left and left[-1][:2] == (path, line)
        if not excused and not told:
            left.append((path, line, f"{path}:{line}: [{rule}] {what}"))
    for n, exception in enumerate(exceptions):
        if n not in used:
            where = "scripts/boundary-exceptions.toml"
            why = "has no reason" if not exception.get("reason") else "matches nothing any more"
            left.append((where, 0, f"{where}:1: [exception] {exception.get('rule')} in {exception.get('file')} {why}"))
    return [text for _, _, text in sorted(left)]


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    exceptions = tomllib.loads((root / "scripts/boundary-exceptions.toml").read_text()).get("exception", [])
    violations = check_tree(root, exceptions)
    print("\n".join(violations) if violations else "boundaries: all kept")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
