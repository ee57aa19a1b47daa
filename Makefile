# The entry points; each installs what it lacks. Longer logic is in scripts/.
SHELL := bash
.DEFAULT_GOAL := help

# What the functions are built for: what the template deploys them on unless it is told otherwise, whatever builds them.
ARCH ?= arm64
# What can be run here.
MACHINE := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)
FUNCTIONS := $(notdir $(wildcard functions/*))
# In CI a stale lock file is an error; elsewhere cargo updates it.
LOCKED := $(if $(CI),--locked)
# A change of a manifest runs the install again.
PAGE := local/page/dist/supertokens.js
BROWSER := tests/browser/node_modules/.package-lock.json
VERIFIERS := tests/hostile/node_modules/.package-lock.json tests/hostile/.venv/installed
SDK := tests/sdk/node_modules/.package-lock.json tests/sdk/.venv/installed
TOOLS := .venv/installed
NODE := benches/node/node_modules/.package-lock.json
SIGNIN := $(patsubst %,examples/signin-%/node_modules/.package-lock.json,node cognito)
FUZZ_SECONDS ?= 5
SIZE ?= ci
FUNCTION ?= refresh
EVENT ?= ok
# Short lifetimes, so that refreshes and theft can be watched on the demo page.
ARGS ?= --access-token-ttl 30 --refresh-flight 2
LAMBDA_BUILD = cargo lambda build $(LOCKED) --release $(if $(filter arm64,$(ARCH)),--arm64,--x86-64) $(addprefix --package ,$(FUNCTIONS))
# Installs the Python packages that a file pins, into the virtual environment that the target is in.
define INSTALL_PYTHON
rm -rf $(@D) && python3 -m venv $(@D)
$(@D)/bin/pip install --quiet --require-hashes --no-deps --requirement $< && touch $@
endef

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

.PHONY: help run test evidence setup page fmt fmt-check lint doc unit verifiers prove instructions fuzz deny advisories sam-lint examples build zips emulator browser dbsc binaries sdk sam-local bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
run: $(PAGE) $(SIGNIN) ## Run the stack on this machine, with the demo page
	cargo run $(LOCKED) --package local -- --set DEVICE_BINDING=require $(ARGS)
test: ## What to run before every commit; SKIP="browser unit" leaves some out
	@scripts/checks fmt-check sam-lint lint unit browser
evidence: ## What shows that the promises hold, and that it deploys
	@ARCH=$(MACHINE) scripts/checks doc verifiers sdk binaries prove instructions fuzz deny examples build emulator
setup: $(PAGE) $(SIGNIN) $(BROWSER) $(VERIFIERS) $(SDK) $(TOOLS) ## Install all that the checks need
	@scripts/chromium
page: $(PAGE) ## Bundle the demo page's SDK
fmt: ## Format the code
	cargo fmt --all
fmt-check: ## Check: the code is formatted
	cargo fmt --all --check
lint: $(PAGE) ## Check: clippy has nothing to say
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings
doc: $(PAGE) ## Check: the documentation builds
	RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --workspace --no-deps --document-private-items
unit: $(PAGE) ## Check: the Rust tests
	cargo test $(LOCKED) --workspace
verifiers: $(PAGE) $(VERIFIERS) ## Check: tokens and published keys, judged by other libraries
	@scripts/verifier-tests
sdk: $(PAGE) $(BROWSER) $(SDK) ## Check: the published back-end SDKs, and a fuzzer, against the core
	@scripts/sdk-tests
prove: ## Check: the claims about refreshing; SIZE=full takes hours
	@scripts/prove --size $(SIZE)
instructions: ## Check: what the hot paths execute, counted; UPDATE=1 writes the counts down
	@scripts/instructions $(if $(UPDATE),--update)
fuzz: ## Check: what reads bytes from outside, fuzzed for FUZZ_SECONDS per target
	@scripts/fuzz-tests $(FUZZ_SECONDS)
deny: $(TOOLS) ## Check: licences, banned and duplicate crates, sources
	cargo deny check bans licenses sources
advisories: $(TOOLS) ## Check: published vulnerabilities; not part of `evidence`, it needs GitHub
	cargo deny check advisories
sam-lint: $(TOOLS) ## Check: the templates
	sam validate --lint
	sam validate --lint --template examples/template.yaml
	sam validate --lint --template examples/front-doors.yaml
	sam validate --lint --template examples/own-api.yaml
	sam validate --lint --template examples/session-events.yaml
	sam validate --lint --template tests/live/template.yaml
	python scripts/template-tests
examples: $(TOOLS) ## Check: the crates are packed, and every example builds, outside of the repository
	@scripts/example-tests
# SAM builds one function at a time and in silence; here they share the cores and show progress, and SAM finds them done.
build: $(TOOLS) ## Check: the functions build as they are deployed, on ARCH=arm64 or x86_64, and are small
	$(LAMBDA_BUILD)
	sam build --parameter-overrides Architecture=$(ARCH)
	scripts/zip-sizes $(if $(UPDATE),--update)
zips: $(TOOLS) ## Make the functions' zips, on ARCH=arm64 or x86_64, for Terraform, CDK and the like
	$(LAMBDA_BUILD) --output-format zip
	@wc -c $${CARGO_TARGET_DIR:-target}/lambda/*/bootstrap.zip
emulator: ARCH := $(MACHINE)
emulator: build ## Check: the built functions, under Lambda's runtime emulator
	@scripts/emulator-tests $(ARCH)
sam-local: ARCH := $(MACHINE)
sam-local: build ## Invoke a built function with FUNCTION=refresh EVENT=ok, as `sam local` does; needs Docker
	@scripts/sam-local $(FUNCTION) $(EVENT)
browser: $(PAGE) $(SIGNIN) $(BROWSER) $(TOOLS) ## Check: the published web SDK against the stack, in Chromium
	@scripts/browser-tests
binaries: $(PAGE) $(BROWSER) ## Check: the functions as processes, event by event and in Chromium
	@scripts/binary-tests
dbsc: $(PAGE) $(BROWSER) ## Check: Chromium binds sessions by itself; not part of `evidence`, it needs one up to 150
	@scripts/dbsc-tests
# In two steps: together, the functions would have the features that the harness asks of their crates.
bench: $(PAGE) $(NODE) ## Measure beside other libraries and Node, and write docs/performance.md; takes minutes, wants a quiet machine
	cargo build $(LOCKED) --release --package echo $(addprefix --package ,authorizer refresh revoke sessions)
	cargo run $(LOCKED) --release --package benches -- --write all
clean: ## Remove everything that was built or installed here
	cargo clean
	rm -rf .aws-sam .venv {local/page,examples/signin-node,examples/signin-cognito,tests/browser,benches/node}/node_modules {local/page,benches/node}/dist tests/{hostile,sdk}/{.venv,node_modules}

$(PAGE): local/page/package.json local/page/package-lock.json
	cd local/page && npm ci && npm run build && touch dist/supertokens.js
examples/%/node_modules/.package-lock.json: examples/%/package.json examples/%/package-lock.json
	cd examples/$* && npm ci && touch node_modules/.package-lock.json
$(BROWSER): tests/browser/package.json tests/browser/package-lock.json
	cd tests/browser && npm ci && touch node_modules/.package-lock.json
tests/hostile/node_modules/.package-lock.json: tests/hostile/package.json tests/hostile/package-lock.json
	cd tests/hostile && npm ci && touch node_modules/.package-lock.json
tests/sdk/node_modules/.package-lock.json: tests/sdk/package.json tests/sdk/package-lock.json
	cd tests/sdk && npm ci && touch node_modules/.package-lock.json
$(NODE): $(wildcard benches/node/*.js) benches/node/package.json benches/node/package-lock.json
	cd benches/node && npm ci && npm run build && touch node_modules/.package-lock.json
tests/sdk/.venv/installed: tests/sdk/requirements.txt
	$(INSTALL_PYTHON)
tests/hostile/.venv/installed: tests/hostile/requirements.txt
	$(INSTALL_PYTHON)
$(TOOLS): scripts/requirements.txt
	$(INSTALL_PYTHON)
