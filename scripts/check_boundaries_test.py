#!/usr/bin/env python3
"""Plants one violation of each rule and looks whether check_boundaries.py finds it, there and nowhere else."""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import check_boundaries as checker  # noqa: E402


def check(files, exceptions=()):
    """What the checker says about a tree of these files, as `file:line: [rule]`."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return [line[: line.index("]") + 1] for line in checker.check_tree(root, list(exceptions))]


def lines(n, head="fn f() {\n", tail="}\n"):
    """A function of `n` lines."""
    return head + "    g();\n" * (n - 2) + tail


class OneViolationEach(unittest.TestCase):
    def finds(self, path, text, expected):
        self.assertEqual(check({path: text}), [f"{path}:{expected}"])

    def keeps(self, path, text):
        self.assertEqual(check({path: text}), [])

    def test_a_service_depends_on_no_service(self):
        for table in ("dependencies", "dev-dependencies", "target.'cfg(unix)'.dependencies"):
            self.finds("order-service/Cargo.toml", f"[{table}]\nauth-service.workspace = true\n", "2: [service-dependency]")
        self.finds("shared/platform/Cargo.toml", "[dependencies]\nsync-service = { workspace = true }\n", "2: [service-dependency]")
        self.finds("gateway/Cargo.toml", "[dependencies]\nauth-service.workspace = true\n", "2: [service-dependency]")
        self.keeps("deploy/all-in-one/Cargo.toml", "[dependencies]\nauth-service.workspace = true\n")
        self.keeps("fuzz/Cargo.toml", "[dependencies]\ngateway = { path = \"../gateway\" }\n")

    def test_contracts_depends_on_no_runtime(self):
        for name in ("tokio", "actix-web", "sea-orm", "platform", "reqwest"):
            self.finds("shared/contracts/Cargo.toml", f"[dependencies]\nserde = \"1\"\n{name} = \"1\"\n", "3: [contracts-runtime]")
        self.keeps("shared/contracts/Cargo.toml", "[dependencies]\nserde = \"1\"\nserde_json = \"1\"\nthiserror = \"2\"\n")

    def test_actix_stays_at_the_edge(self):
        use = "\nuse actix_web::web;\n"
        for path in ("service.rs", "orders/rules.rs", "orders/store.rs", "https_like/jobs.rs"):
            expected = [] if path.startswith("http") else [f"auth-service/src/{path}:2: [actix]"]
            self.assertEqual(check({f"auth-service/src/{path}": use}), expected)
        for path in ("auth-service/src/orders/http.rs", "auth-service/src/app.rs", "auth-service/src/main.rs",
                     "auth-service/src/orders/http_form.rs", "gateway/src/proxy.rs", "auth-service/tests/it/a.rs"):
            self.keeps(path, use)
        self.keeps("auth-service/src/rules.rs", "// use actix_web::web;\nconst A: &str = \"actix_web::web\";\n")
        self.keeps("auth-service/src/rules.rs", "#[cfg(test)]\nmod tests {\n    use actix_web::web;\n}\n")

    def test_queries_stay_in_the_store(self):
        for word in ("EntityTrait", "QuerySelect", "PaginatorTrait", "ActiveModelTrait"):
            self.finds("sync-service/src/a/service.rs", f"use sea_orm::{{DbErr, {word}}};\n", "1: [queries]")
        self.finds("sync-service/src/a/jobs.rs", "fn f() {\n    db.execute_raw(x);\n}\n", "2: [queries]")
        self.keeps("sync-service/src/statements/service.rs", "fn f() -> Statement {\n    Statement::of_day(x)\n}\n")
        for path in ("a/store.rs", "a/store_reads.rs", "a/store/reads.rs", "entities/order.rs", "migrations/mod.rs", "sql.rs"):
            self.keeps(f"sync-service/src/{path}", "use sea_orm::EntityTrait;\n")
        self.keeps("shared/platform/src/outbox.rs", "use sea_orm::Statement;\n")

    def test_lifecycle_alone_writes_orders(self):
        for text in ('f("UPDATE orders SET state = 2");', 'f("\\n  insert into \\"orders\\" (id)");', 'f(r#"DELETE FROM orders"#);',
                     "orders::ActiveModel { id };", "orders::Entity::update_many();"):
            text = text.replace('\\"', '"') if "r#" in text else text
            found = check({"order-service/src/admin/store.rs": f"fn f() {{\n    {text}\n}}\n"})
            self.assertIn(found, (["order-service/src/admin/store.rs:2: [order-state]"], ["order-service/src/admin/store.rs:3: [order-state]"]), text)
            self.keeps("order-service/src/lifecycle/store.rs", f"fn f() {{\n    {text}\n}}\n")
        self.keeps("order-service/src/admin/store.rs", 'fn f() {\n    g("SELECT * FROM orders FOR UPDATE");\n    g("UPDATE orders_old SET a");\n}\n')

    def test_sizes_are_bounded(self):
        self.finds("auth-service/src/main.rs", "fn main() {\n" + "\n" * 29 + "}\n", "1: [main-size]")
        self.keeps("auth-service/src/main.rs", "fn main() {\n" + "\n" * 28 + "}\n")
        self.finds("auth-service/src/a.rs", "\n" + lines(71), "2: [function-size]")
        self.keeps("auth-service/src/a.rs", lines(70))
        self.finds("auth-service/src/a.rs", "const A: u8 = 1;\n" * 401, "1: [file-size]")
        self.keeps("auth-service/src/a.rs", "const A: u8 = 1;\n" * 400)
        tests = "#[cfg(test)]\nmod tests {\n" + "    const A: u8 = 1;\n" * 300 + "}\n"
        self.keeps("auth-service/src/a.rs", "const A: u8 = 1;\n" * 400 + tests)
        self.keeps("auth-service/tests/it/a.rs", "const A: u8 = 1;\n" * 900 + lines(100))
        self.finds("auth-service/tests/it/a.rs", lines(101), "1: [function-size]")

    def test_a_function_ends_where_its_brace_does(self):
        tricky = 'fn f(a: [u8; 2]) -> u8\nwhere\n    A: B,\n{\n    let x = "}"; let y = \'}\'; /* } */ // }\n    let z = r#"}"}"#;\n'
        self.finds("auth-service/src/a.rs", tricky + "    g();\n" * 70 + "}\n", "1: [function-size]")
        self.keeps("auth-service/src/a.rs", "trait T {\n    fn f(&self);\n" + "    fn g<'a>(x: &'a str) -> char { '{' }\n" * 80 + "}\n")

    def test_wire_typos_stay_on_the_wire(self):
        self.finds("auth-service/src/wire.rs", "struct A<T>\nwhere\n    T: B,\n{\n    pub date: Page<T>,\n}\n", "5: [wire-typo]")
        self.finds("auth-service/src/wire.rs", "struct A {\n    date: Vec<String>,\n}\n", "2: [wire-typo]")
        for day in ("String", "Option<NaiveDate>", "chrono::NaiveDate", "&'a str", "i64"):
            self.keeps("auth-service/src/wire.rs", f"struct A {{\n    pub date: {day},\n}}\n")
        self.finds("auth-service/src/wire.rs", "struct A {\n    chage_state: u8,\n}\n", "2: [wire-typo]")
        self.finds("auth-service/src/wire.rs", "fn f() {\n    let vat_bank_accoun = 1;\n}\n", "2: [wire-typo]")
        self.keeps("auth-service/src/wire.rs", "struct A {\n    #[serde(rename = \"date\")]\n    pub data: u8,\n}\n")
        self.keeps("auth-service/src/wire.rs", "fn f() {\n    let date = x.date();\n    B { date: x };\n    date::new(update);\n    g(\"chage_state\");\n}\n")

    def test_tests_neither_sleep_nor_are_ignored(self):
        sleep = "async fn f() {\n    tokio::time::sleep(x).await;\n}\n"
        self.finds("auth-service/tests/it/a.rs", sleep, "2: [sleep]")
        self.finds("auth-service/src/a.rs", "#[cfg(test)]\nmod tests {\n    fn f() { sleep(x); }\n}\n", "3: [sleep]")
        self.keeps("auth-service/src/a.rs", sleep)
        self.finds("auth-service/tests/it/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}\n", "2: [ignored]")

    def test_only_the_platform_allows_itself_what_is_forbidden(self):
        allow = "\n#[allow(clippy::disallowed_methods)] // because\nfn f() {}\n"
        self.finds("auth-service/src/a.rs", allow, "2: [allow]")
        self.finds("gateway/src/a.rs", "#![expect(dead_code)]\n#![allow(clippy::dbg_macro, clippy::disallowed_methods)]\n", "2: [allow]")
        self.keeps("shared/platform/src/a.rs", allow)

    def test_the_sample_lists_every_setting_and_no_other(self):
        settings = "pub struct Settings {\n    pub listen: String,\n    pub bus: BusSettings,\n    pub map: BTreeMap<String, String>,\n}\n"
        bus = "pub struct BusSettings {\n    /// `pub no: u8,`\n    pub url: Option<SecretString>,\n}\n"
        tree = {"shared/platform/src/settings.rs": settings, "shared/platform/src/bus.rs": bus}
        good = "BAODAN_LISTEN=x\n#BAODAN_BUS__URL=\n# BAODAN_MAP__A=1\n"
        self.assertEqual(check({**tree, ".env.sample": good}), [])
        self.assertEqual(check({**tree, ".env.sample": good + "#BAODAN_BUS__NO=1\n"}), [".env.sample:4: [env-sample]"])
        self.assertEqual(check({**tree, ".env.sample": "#BAODAN_BUS__URL=\n#BAODAN_MAP__A=1\n"}), [".env.sample:1: [env-sample]"])
        self.assertEqual(len(check(tree)), 3)


class Exceptions(unittest.TestCase):
    tree = {"auth-service/src/a.rs": lines(80) + lines(90, head="fn big() {\n")}

    def test_an_exception_with_a_reason_excuses_what_it_names(self):
        one = {"rule": "function-size", "file": "auth-service/src/a.rs", "item": "big", "reason": "a table"}
        self.assertEqual(check(self.tree, [one]), ["auth-service/src/a.rs:1: [function-size]"])
        whole = {k: v for k, v in one.items() if k != "item"}
        self.assertEqual(check(self.tree, [whole]), [])

    def test_an_exception_without_reason_or_use_is_reported(self):
        bare = {"rule": "function-size", "file": "auth-service/src/a.rs"}
        self.assertEqual(len(check(self.tree, [bare])), 3)
        idle = {"rule": "actix", "file": "auth-service/src/b.rs", "reason": "once"}
        self.assertIn("scripts/boundary-exceptions.toml:1: [exception]", check(self.tree, [idle]))


if __name__ == "__main__":
    unittest.main(verbosity=0)
