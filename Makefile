# `make` prints what there is to do. On a fresh machine `make demo` and `make test` install what they need inside this
# folder: .venv (Python), .tools (uv, MinIO, staticcheck) and bin (the product). They need Go, Python 3.11+ and a C library, nothing else.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/metaxy-pipes/metaxy-pipes/internal/cli.Version=$(VERSION)
GO      := CGO_ENABLED=0 go
PYTHON  := .venv/bin/python
export DAGSTER_DISABLE_TELEMETRY := yes
export METAXY_DISABLE_TELEMETRY := yes

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## the product: bin/metaxy-pipes, static
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/... ./examples/video/cmd/... ./examples/with_metaxy/cmd/...

.PHONY: demo
demo: .venv/.done build ## the main job on real input: videos through real Dagster, five runs, every number checked
	$(PYTHON) examples/video/demo.py

.PHONY: dev
dev: .venv/.done build ## the same example in Dagster's web interface, on port 3000
	$(PYTHON) examples/video/dev.py

.PHONY: pictures
pictures: .venv/.pictures.done .tools/bin/.done build ## docs/images anew: the example in Dagster's web interface, in the Chromium of this machine
	$(PYTHON) examples/video/pictures.py

.PHONY: test
test: lint test-go test-python test-cross ## everything that CI runs

.PHONY: lint
lint: .tools/bin/.done ## formatting, vet and staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-formatted:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	.tools/bin/staticcheck ./...

.PHONY: test-go
test-go: .tools/bin/.done ## the Go tests, with a real MinIO
	METAXY_REQUIRE_MINIO=1 METAXY_EVERY_FAULT=1 go test ./...

.PHONY: test-python
test-python: .venv/.done .tools/bin/.done .tools/emulators.done build ## the tests with real Dagster, Metaxy, delta-rs, Polars and DuckDB
	$(PYTHON) -m pytest

.PHONY: test-k8s
test-k8s: .venv/.done .tools/bin/.done build ## examples/kubernetes on the one-node cluster of KUBECONFIG; K8S_IMPORT brings an image's tar file to it
	@test -n "$(KUBECONFIG)" -a -n "$(K8S_IMPORT)" || { echo "test-k8s: set KUBECONFIG and K8S_IMPORT (such as: kind load image-archive)"; exit 1; }
	PYTHONPATH=tests/kubernetes:dagster_defs/src $(PYTHON) -m pytest tests/kubernetes

.PHONY: test-ray
test-ray: .venv/.done .venv/.ray.done build ## examples/ray on a Ray of this machine
	PYTHONPATH=examples/ray $(PYTHON) -m pytest tests/ray

.PHONY: test-cross
test-cross: ## builds for each platform that we publish for
	@for os in linux darwin; do for arch in amd64 arm64; do \
	  echo "build $$os/$$arch"; GOOS=$$os GOARCH=$$arch $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o build/$$os-$$arch/ ./cmd/... || exit 1; done; done

.PHONY: race
race: ## the Go tests under the race detector (needs a C compiler)
	go test -race ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (30s)
	@for pkg in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	  echo "fuzz $$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(or $(FUZZTIME),30s) -fuzzminimizetime 10x $$pkg || exit 1; done; done

GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0
VULNDB = .tools/vulndb

.PHONY: scan
scan: build ## modules, licences and known vulnerabilities of the product; exit status 3 if there are vulnerabilities
	go mod verify
	go version -m bin/metaxy-pipes
	cd tools && go run ./licences ../bin/metaxy-pipes | diff -u ../docs/licences.txt - || { echo "scan: make licences, and review the diff"; exit 1; }
	GOBIN=$(CURDIR)/.tools/bin go install $(GOVULNCHECK)
	@rm -rf $(VULNDB) && dir=$$(cd tools && go mod download -json golang.org/x/vulndb@latest | sed -n 's/^\t"Dir": "\(.*\)",*$$/\1/p') && \
	  { [ -n "$$dir" ] || { echo "scan: the module proxy does not give golang.org/x/vulndb, so nothing was scanned"; exit 1; }; } && \
	  cd tools && go run ./vulndb "$$dir/data/osv" $(CURDIR)/$(VULNDB)
	.tools/bin/govulncheck -db file://$(CURDIR)/$(VULNDB) -mode binary bin/metaxy-pipes

.PHONY: licences
licences: build ## rewrite docs/licences.txt, which lists the modules in the product and their licences; review the diff
	cd tools && go run ./licences ../bin/metaxy-pipes > ../docs/licences.txt

.PHONY: chaos
chaos: .venv/.done .tools/bin/.done build ## runs under kill -9, full disks, a dying MinIO and lying processors: for SECONDS (60), or one SEED
	PYTHONPATH=tests:tools $(PYTHON) -m chaos --hard $(if $(SEED),--seeds $(SEED) --keep,--seconds $(or $(SECONDS),60))

.PHONY: interop
interop: .venv/.done ## random projects on one store with real Metaxy, for SECONDS (60); keeps a small case of what differs
	cd tests/python && ../../$(PYTHON) -m differential.search --seconds $(or $(SECONDS),60)

.PHONY: bench
bench: .venv/.done .tools/bin/.done build ## resolve of ROWS (1000000) samples by us and by real Metaxy on the same files, as ratios
	go build -o bin/bench-generate ./bench/generate
	$(PYTHON) bench/resolve.py --rows $(or $(ROWS),1000000)
	$(PYTHON) bench/wide_tables.py
	$(PYTHON) bench/s3.py --rows $(or $(ROWS),1000000)
	$(PYTHON) bench/runner.py
	$(PYTHON) bench/commits.py
	$(PYTHON) bench/startup.py

.PHONY: bench-huge
bench-huge: .venv/.done build ## resolve of ROWS (100000000) samples by us alone, sorted and not; needs 12 GiB in BENCH_DIR
	go build -o bin/bench-generate ./bench/generate
	$(PYTHON) bench/resolve.py --rows $(or $(ROWS),100000000) --ours-only --skip-changed --runs 1 --graphs simple --files shuffled sorted

.PHONY: golden
golden: .venv/.done ## rewrite the expectations under testdata; review the diff
	go test $$(git grep -l 'flag.Bool("update"' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|') -update

.PHONY: setup
setup: .venv/.done .tools/bin/.done .tools/emulators.done ## install the tools and the Python environment into this folder

.venv/.done: pyproject.toml uv.lock .tools/uv/.done
	.tools/uv/bin/uv sync --locked --quiet
	@touch $@

.venv/.ray.done: .venv/.done
	.tools/uv/bin/uv sync --locked --quiet --inexact --group ray
	@touch $@

.venv/.pictures.done: .venv/.done
	.tools/uv/bin/uv sync --locked --quiet --inexact --group pictures
	@touch $@

.tools/uv/.done:
	python3 -m venv .tools/uv
	.tools/uv/bin/pip install --quiet --disable-pip-version-check uv==0.9.30
	@touch $@

.tools/bin/.done: tools/go.mod tools/go.sum
	cd tools && GOBIN=$(CURDIR)/.tools/bin CGO_ENABLED=0 go install tool
	@touch $@

# Emulators of Google Cloud Storage and, where npm is there, of Azure Blob Storage. Tests that need one say so when they are skipped.
.tools/emulators.done: tools/fakegcs/go.mod tools/fakegcs/go.sum tools/azurite/package.json tools/azurite/package-lock.json
	cd tools/fakegcs && GOBIN=$(CURDIR)/.tools/bin CGO_ENABLED=0 go install tool
	rm -rf .tools/azurite && mkdir -p .tools/azurite && cp tools/azurite/package*.json .tools/azurite
	if command -v npm >/dev/null; then cd .tools/azurite && npm ci --silent --no-audit --no-fund --ignore-scripts; fi
	@touch $@

.PHONY: clean
clean: ## remove what make has made, the caches of Go and uv aside
	rm -rf bin build .venv .tools
