SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
SERVERS := testdata/servers/servers.sh
FUZZTIME ?= 1m

# The race detector watches all of our own code and the Go of the libraries.
# Left out is SQLite, C that was translated to Go, with its C library and its
# allocator: they work in memory that is not Go's, which the detector does not
# watch, and calling it at each access makes every test with a ledger three to
# four times slower. The driver above them and database/sql are watched.
norace = $(foreach package,$(1),-gcflags=$(package)=-race=false)
RACE := -race $(call norace,modernc.org/sqlite/lib modernc.org/libc/... modernc.org/memory)

# The longest package mostly waits, for servers and for processes of mailproof:
# it starts first, and beside more than one other.
TESTS := ./cmd/mailproof ./cmd/internal/engagement ./...

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

.PHONY: demo
demo: ## the whole job on embedded servers, into a new folder mailproof-demo
	$(GO) run ./cmd/mailproof demo

.PHONY: build
build: ## the program, into ./mailproof
	$(GO) build -trimpath -o mailproof ./cmd/mailproof

.PHONY: test
test: install ## everything: format, vet, staticcheck, all tests with the race detector and real servers
	@idle=$$($(SERVERS) status | grep -c 'not running' || true); \
	if [ $$idle -gt 0 ]; then trap '$(SERVERS) stop all' EXIT; fi; \
	$(SERVERS) start all; \
	eval "$$($(SERVERS) env)"; \
	$(MAKE) --no-print-directory lint; \
	$(GO) test $(RACE) -vet=off -count=1 -p 3 -parallel 8 -timeout 30m $(TESTS)

.PHONY: test-short
test-short: ## the tests that need no servers and little time
	$(GO) test -short ./...

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@files=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "gofmt would change:" >&2; echo "$$files" >&2; exit 1; fi
	$(GO) vet ./... ./testdata/servers/fakeauth
	$(GO) run $(STATICCHECK) ./... ./testdata/servers/fakeauth

.PHONY: install
install: ## Debian packages that the tests use; needs root if one is missing
	@testdata/install.sh

.PHONY: servers
servers: install ## starts the real servers and leaves them running; prints how tests find them
	@$(SERVERS) start all
	@$(SERVERS) env

.PHONY: fuzz
fuzz: ## every fuzz target, FUZZTIME (1m) each
	@grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | \
	while IFS=: read -r file _ func; do \
		name=$${func#func }; \
		echo "$$(dirname $$file) $$name"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$(dirname $$file)" </dev/null; \
	done

.PHONY: bench
bench: install ## mailproof beside the limit of raw sockets and beside its peers on real servers, then every benchmark
	@idle=$$($(SERVERS) status | grep -c 'not running' || true); \
	if [ $$idle -gt 0 ]; then trap '$(SERVERS) stop all' EXIT; fi; \
	$(SERVERS) start all; \
	eval "$$($(SERVERS) env)"; \
	$(GO) run ./cmd/internal/bench; \
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m ./...

.PHONY: soak
soak: install ## the tests again and at length, with real servers
	@idle=$$($(SERVERS) status | grep -c 'not running' || true); \
	if [ $$idle -gt 0 ]; then trap '$(SERVERS) stop all' EXIT; fi; \
	$(SERVERS) start all; \
	eval "$$($(SERVERS) env)"; \
	MAILPROOF_LONG=1 $(GO) test $(RACE) -count=5 -timeout 10h ./...

.PHONY: clean
clean: ## removes what demo, build and the test servers left behind
	$(SERVERS) wipe
	rm -rf $(DEMO) mailproof
