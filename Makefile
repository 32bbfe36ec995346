.DEFAULT_GOAL := help
.PHONY: help run run-real parts test fmt lint doc clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

run: ## build Everbearer and watch it work on embedded parts (ends with Ctrl-C, or after 30 s without a terminal)
	cargo run -- demo

run-real: parts ## the same on real parts: OpenBao, a certified OpenID provider, a Kubernetes API server
	tests/run-real

parts: ## install the real servers that the tests talk to (once; then a matter of milliseconds)
	@tests/parts/install

test: ## every check and test, cheapest first, with its seconds (one alone: tests/run-stages NAME)
	@tests/run-stages

fmt: ## format the source
	cargo fmt

lint: ## clippy, as strict as make test
	@tests/run-stages clippy

doc: ## the design, from src/lib.rs, into the target folder
	cargo doc --no-deps --document-private-items

clean: ## remove what was built (not the parts, which live in the cache)
	cargo clean
