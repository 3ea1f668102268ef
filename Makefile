.DEFAULT_GOAL := help
.PHONY: help run demo test test-env lint fmt bench chaos openapi check-deploy check-supply check-api audit fuzz up down compose-test

help: ## these lines
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

run: ## start everything on http://127.0.0.1:8080, data in ./data
	cargo run --release

demo: ## the same with sample data, and one whole story told
	cargo run --release -- --demo

test: ## install or start what tests need, run every check and every test in both modes
	@scripts/test.sh test.py

test-env: ## only start PostgreSQL, Redis and RabbitMQ for tests; prints where they are
	@scripts/test.sh servers.py

lint: ## format, clippy, boundaries
	@scripts/test.sh test.py --lint

fmt: ## format the source
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

bench: ## measure everything against its baselines; writes bench/results.md
	cargo build --profile dist --workspace --bins
	"$${CARGO_TARGET_DIR:-target}/dist/bench" all

chaos: ## break everything on purpose (about 20 minutes); writes docs/reliability.md
	@scripts/chaos.sh

openapi: ## write docs/openapi.json from the code
	cargo run --quiet -- openapi > docs/openapi.json.part
	mv docs/openapi.json.part docs/openapi.json

check-deploy: ## check Dockerfile, compose, Kubernetes, alerts and dashboards with the real tools
	@scripts/check-deploy.sh

check-supply: ## check licences and sources of the dependencies
	@scripts/check-supply.sh

check-api: ## send what nobody should send to a running system (schemathesis); no answer may be a 5xx
	@scripts/check-api.sh

fuzz: ## fuzz the parsers guided by coverage, longer than make test does: make fuzz TARGET=workbook SECONDS=300
	@FUZZ_SECONDS=$(or $(SECONDS),300) scripts/fuzz.sh long $(TARGET)

audit: ## look up known vulnerabilities of the dependencies (fetches the database of advisories)
	@scripts/check-supply.sh advisories

up: ## the production shape in containers
	@scripts/up.sh

down: ## stop the containers; their data stays
	docker compose --profile observe down

compose-test: ## run the containers for real, kill one, check that the callback still arrives
	@scripts/compose-test.sh
