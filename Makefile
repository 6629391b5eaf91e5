# `make` lists what there is. Needs make, npm, and for Kafka either Docker or a JDK >= 17 with Maven; Node itself is
# fetched when the machine has none new enough.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help deps setup check test soak demo up down serve flood verify bench

# The right Node first on PATH; no colour codes where nobody sees them.
ENV := CN_ROOT='$(CURDIR)'; . scripts/env.sh; [ -t 1 ] || export NO_COLOR=1; \
	export NODE_OPTIONS="--disable-warning=ExperimentalWarning $${NODE_OPTIONS:-}";

help: ## List these targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' Makefile

deps:
	@scripts/deps.sh

setup: deps ## Fetch Node, packages, Kafka and the registry (each only when missing)
	@$(ENV) node scripts/stack/prepare.ts

check: deps ## Types, lint, format, room boundaries, generated files up to date
	@$(ENV) set -e; \
	echo 'check: types'; tsc --noEmit; \
	echo 'check: lint and format'; biome ci --colors=off --error-on-warnings; \
	echo 'check: room boundaries'; node scripts/check-boundaries.ts; \
	echo 'check: generated files'; vitest run --project unit app/reference fibric/catalogue; \
	echo 'check ok'

test: deps ## All tests, with a real Kafka (ARGS='--project unit' for one tier)
	@$(ENV) vitest run $(ARGS)

soak: deps ## Convergence, the 657 copies and commands under faults, new seeds; SUITE='flood' SEEDS=100 for one
	@$(ENV) node scripts/stack/with-stack.ts node scripts/soak.ts $(SUITE) $(SEEDS)

demo: deps ## Flood, crash, verify: the whole path once, on a Kafka of its own if none is up
	@$(ENV) node scripts/stack/with-stack.ts bin/cn-kustomer demo $(ARGS)

up: deps ## Start Kafka and the schema registry (Docker if it answers, else native on a JDK)
	@$(ENV) node scripts/stack/up.ts

down: deps ## Stop exactly what `make up` started; data stays in .data/stack
	@$(ENV) node scripts/stack/down.ts

serve: up ## Run the service, its topics and schema made first; ARGS='…' go to `cn-kustomer serve`
	@bin/cn-kustomer topics --apply >/dev/null && bin/cn-kustomer schemas register >/dev/null && exec bin/cn-kustomer serve $(ARGS)

flood: deps ## Send signed webhooks to a running service; ARGS='--rate 500 --count 20000 …'
	@bin/cn-kustomer flood $(ARGS)

verify: deps ## Account for every change of a flood; ARGS='<manifest>'
	@bin/cn-kustomer verify $(ARGS)

bench: deps ## Measure what bench/ measures, on a Kafka of its own if none is up
	@$(ENV) node scripts/stack/with-stack.ts node bench/run.ts $(ARGS)
