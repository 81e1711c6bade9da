# make help lists the targets. demo and test first install what is missing.

IMAGE ?= examples/segment_image/nuclei.png
TRUTH ?= $(patsubst %.png,%.json,$(filter examples/segment_image/nuclei.png,$(IMAGE)))
WEIGHTS ?= builtin:nuclei
OUTPUT ?= out
FUZZTIME ?= 10s
SUITE ?= trixie

# Test programs run side by side: OpenMP threads that wait must sleep, not spin.
test test-beam test-nats fuzz sanitize: export OMP_WAIT_POLICY ?= passive

# The packages whose tests take longest begin first, so that no core waits for them at the end.
LONGEST := ./train ./cmd/diffusioninst ./nuclei ./diffusioninst

# Installs what is missing and runs a command in an environment where go build finds LibTorch.
with := scripts/with-libtorch

.DEFAULT_GOAL := help
.PHONY: help setup build demo test test-beam test-nats bench bench-peer fuzz sanitize test-libtorch2 test-fresh generate lint lint-deploy clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing: a C++ compiler, LibTorch, OpenBLAS
	@scripts/setup

build: ## build bin/diffusioninst, and bin/diffusioninst-libtorch, which it starts to run models
	@CGO_ENABLED=0 go build -o bin/diffusioninst ./cmd/diffusioninst
	@$(with) go build -o bin/diffusioninst-libtorch ./cmd/diffusioninst

demo: ## segment a picture and compare with its true masks: make demo IMAGE=path
	@$(with) go run ./cmd/diffusioninst segment --weights $(WEIGHTS) $(if $(TRUTH),--gt "$(TRUTH)") --output "$(OUTPUT)/" "$(IMAGE)"

test: ## run all tests
	@$(with) go test -timeout 30m -p $$(($$(nproc) + 1)) $(LONGEST) work

test-beam: ## run the tests of the module beam, which make test leaves out: the first build compiles Apache Beam
	@cd beam && ../$(with) go test -timeout 30m ./...

test-nats: ## run the tests of the module examples/nats, which make test leaves out
	@cd examples/nats && ../../$(with) go test ./...

bench: ## run the benchmarks, without the tests
	@$(with) go test -run '^$$' -bench . -benchmem work

bench-peer: build ## time a picture by this module and by torchvision's Mask R-CNN, which must be installed
	@scripts/bench-peer

fuzz: ## run each fuzz target for FUZZTIME (10s)
	@$(with) scripts/fuzz $(FUZZTIME)

sanitize: ## run the C++ kernels' tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(with) scripts/sanitize

test-libtorch2: ## run the tests against LibTorch 2.6 in a Debian 13 chroot; SUITE=sid for the newest
	@scripts/test-libtorch2 $(SUITE)

test-fresh: ## time demo and test in a clone on a fresh Debian 12 without LibTorch
	@scripts/test-fresh

generate: ## regenerate generated files
	@go generate work

lint: ## check formatting, go vet, staticcheck, shell scripts
	@scripts/lint

lint-deploy: ## check Kubernetes' own objects in deploy/ against the schemas of the oldest release that has all fields
	@go run sigs.k8s.io/kubectl-validate@v0.0.4 --version 1.30 deploy/batch-job.yaml deploy/serve.yaml

clean: ## remove bin/ and out/
	rm -rf bin out
