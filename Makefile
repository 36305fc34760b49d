# mcbox: every task a person types. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MCBOX_STATE ?= .mcbox
VENV := .venv
STAMPS := target/deps
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
APT := $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

# What building and `make demo` need, and what the tests use as foreign judges.
BUILD_PACKAGES := build-essential pkg-config espeak-ng sox
TEST_PACKAGES := tshark sngrep libsrtp2-dev libwolfssl-dev sip-tester xmlsec1 libxml2-utils openssl \
  chromium chromium-driver postgresql baresip-core python3-venv iproute2 ffmpeg
PYTHON_PACKAGES := authlib==1.* pystoi numpy requests cryptography
FUZZ_TARGETS := $(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs))
FUZZ_S ?= 60
TIMING_S ?= 20
BINARIES := -p idms -p kms -p gms -p mcptt-server -p segy -p lmr-sim -p web-ui -p lab

.PHONY: help demo lab lab-down test check bench timing fuzz e2e-docker fmt clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 16

demo: $(STAMPS)/build target/speech/.done ## set up, build, run the calls with real speech, print the table
	cargo build --release $(BINARIES)
	target/release/mcbox --state $(MCBOX_STATE) demo

lab: $(STAMPS)/build target/speech/.done ## start the lab and keep it running until Ctrl-C
	cargo build --release $(BINARIES)
	target/release/mcbox --state $(MCBOX_STATE) up

lab-down: ## stop the lab and remove its state
	target/release/mcbox --state $(MCBOX_STATE) down --purge

test: $(STAMPS)/build $(STAMPS)/test $(STAMPS)/nextest $(VENV)/.done target/speech/.done ## set up and run every test, unit to end-to-end
	cargo build $(BINARIES)
	cargo nextest run --workspace
	cargo test --workspace --doc --quiet

check: $(STAMPS)/build $(STAMPS)/deny ## format, lints, docs, licences, duplicate versions
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
	cargo deny --all-features check bans licenses sources

fmt: ## format the code
	cargo fmt --all

bench: $(STAMPS)/build $(STAMPS)/test ## measure the cryptography against wolfSSL, in CPU time
	@mkdir -p target/bench
	cc -O2 -Wall -Wextra -o target/bench/wolfssl benches/crypto/wolfssl.c $$(pkg-config --cflags --libs wolfssl)
	cargo build --release --quiet -p bench-crypto
	target/release/bench-crypto target/bench/wolfssl target/bench/crypto.json

timing: $(STAMPS)/build ## look for secrets in the time of the cryptography: valgrind, then a t-test, TIMING_S seconds each
	$(call install,valgrind)
	cargo build --release --quiet -p bench-crypto
	@mkdir -p target/bench
	valgrind --error-limit=no --num-callers=14 --read-inline-info=yes --log-file=target/bench/secrets.log target/release/secrets
	target/release/timing $(TIMING_S)

# cargo-fuzz asks for options of the compiler that are not stable; the toolchain stays the same.
fuzz: $(STAMPS)/build $(STAMPS)/fuzz ## feed every reader of peers' octets with garbage, FUZZ_S seconds each
	@for target in $(FUZZ_TARGETS); do \
	  mkdir -p target/fuzz/corpus/$$target && echo "fuzz: $$target" && \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run --target-dir target/fuzz $$target target/fuzz/corpus/$$target fuzz/corpus/$$target \
	    -- -max_total_time=$(FUZZ_S) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 || exit 1; \
	done

e2e-docker: ## run the lab in containers (installs and starts Docker where it is missing)
	deploy/e2e-docker

clean: ## remove what was built; keeps downloaded crates
	rm -rf target $(VENV) $(MCBOX_STATE)

# --- prerequisites: each stamp names what it installed -------------------------------------------

# $(call install,PACKAGES): only what dpkg does not have yet.
define install
	@missing=$$(for p in $(1); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	if [ -n "$$missing" ]; then echo "installing: $$missing"; \
	  $(APT) update -qq && $(APT) install -y -qq --no-install-recommends $$missing; fi
endef

$(STAMPS)/build: Makefile
	$(call install,$(BUILD_PACKAGES))
	@mkdir -p $(@D) && touch $@

$(STAMPS)/test: Makefile
	$(call install,$(TEST_PACKAGES))
	@mkdir -p $(@D) && touch $@

$(STAMPS)/nextest:
	@cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked --root target/tools
	@mkdir -p $(@D) && touch $@

$(STAMPS)/deny:
	@cargo deny --version >/dev/null 2>&1 || cargo install cargo-deny --locked --root target/tools
	@mkdir -p $(@D) && touch $@

$(STAMPS)/fuzz:
	@cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked --root target/tools
	@mkdir -p $(@D) && touch $@

$(VENV)/.done: Makefile $(STAMPS)/test
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check $(PYTHON_PACKAGES)
	@touch $@

# Two espeak-ng voices speak the test sentences; tests and the demo play them.
target/speech/.done: tests/speech/make $(STAMPS)/build
	tests/speech/make target/speech
	@touch $@
