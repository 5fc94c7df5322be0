# `make demo` and `make test` set up all that they need; see CONTRIBUTING.md for the rest.

SHELL := /bin/bash
GO    ?= go

# A static program: it is copied to gateways and into the lab's machines as it is. No version control stamp: git refuses
# to tell about a checkout that belongs to somebody else.
export CGO_ENABLED := 0
BUILD := $(GO) build -buildvcs=false -trimpath

PROGRAM := $(CURDIR)/bin/xfrm-plan
LAB     := $(CURDIR)/bin/lab
VERSION ?= $(shell cat VERSION)

# Tests on the real kernel run in the lab's machines; -count=1 because go test's cache knows nothing about the kernel.
ON_KERNEL := $(GO) test -buildvcs=false -count=1 -tags lab
IN_DEBIAN := $(LAB) exec -system -with $(PROGRAM):/usr/bin/xfrm-plan -with $(CURDIR)/examples:/root/examples

GOLANGCI_LINT_VERSION := v2.15.0

.PHONY: all man demo test test-host test-lab test-kernel test-system test-ike fuzz bench bench-engine lint lab build clean

all: build

build: ; $(BUILD) -ldflags '-X main.version=$(VERSION)' -o $(PROGRAM) ./cmd/xfrm-plan

## man: the manual pages, in bin/man
man: build ; mkdir -p bin/man && $(PROGRAM) man bin/man

$(LAB): FORCE ; $(BUILD) -o $(LAB) ./test/netns/cmd/lab
FORCE:

## lab: prepare the virtual machines with the real kernel (cached; the first time takes a minute or two)
lab: $(LAB) ; $(LAB) prepare

## demo: a real renumbering of a dual-stack tunnel, with traffic, step by step
demo: build lab
	$(BUILD) -o bin/demo ./test/netns/demo
	$(LAB) run -with $(PROGRAM):/usr/bin/xfrm-plan -with $(CURDIR)/bin/demo:/usr/bin/demo -with $(CURDIR)/examples:/root/examples -- demo $$([ -t 1 ] && [ -z "$$NO_COLOR" ] && echo -color)

## test: every test; those that need the real kernel run in the lab
test: test-host test-lab test-kernel test-system

test-host:
	$(GO) vet ./... && $(GO) vet -tags lab ./...
	$(GO) test -buildvcs=false ./...

test-lab: lab
	$(GO) test -buildvcs=false -count=1 -tags labhost -parallel 2 ./test/netns/cmd/lab ./test/netns/crash/powercut

test-kernel: build lab
	$(ON_KERNEL) -exec '$(LAB) exec' ./test/netns/smoke ./test/netns/conform

# The longest first: two machines run at a time, and neither should be left waiting for the other at the end.
IN_SYSTEM := $(addprefix ./test/netns/,examples scenario inventory codec crash smoke)
test-system: build lab
	$(ON_KERNEL) -exec '$(IN_DEBIAN)' -timeout 12m $(IN_SYSTEM)

## test-ike: every variant of the scenarios with IKE daemons, and of those with neighbours; make test runs the first of each
test-ike: build lab
	$(ON_KERNEL) -exec '$(IN_DEBIAN)' -timeout 30m -run 'Daemon|Lost|Follow|ChildSAs|ProgramOf|Libreswan|Way|Neighbour|Canary|Outlives|Pluto|Charon' ./test/netns/scenario -args -thorough

## fuzz: plan files and inventories that nobody thought of, ten minutes
fuzz:
	$(GO) test -buildvcs=false ./schema -run '^$$' -fuzz FuzzLoad -fuzztime 5m -fuzzminimizetime 100x
	$(GO) test -buildvcs=false ./plan -run '^$$' -fuzz FuzzCompute -fuzztime 5m -fuzzminimizetime 100x

## soak: what make test does a little of, at length: every fault in a run of 100 groups, 100,000 random runs in memory, 300 kills on the real kernel; an hour or two. Fills docs/soak.md
soak: soak-matrix soak-random soak-kills

soak-matrix:
	$(GO) test -buildvcs=false -count=1 -v -timeout 3h -run TestEveryFaultInManyGroups ./rollback -faultgroups 100 -update

soak-random:
	$(GO) test -buildvcs=false -count=1 -v -timeout 3h -run TestRandomFaults ./rollback -faultruns 100000 -faultfrom 1 -update

soak-kills: build lab
	$(ON_KERNEL) -v -exec '$(IN_DEBIAN)' -timeout 4h -run 'TestRecoverBringsEverythingBackAfterKill|TestNothingInTheClear' ./test/netns/crash -args -thorough -crashes 300 -update
	$(GO) run -buildvcs=false ./test/section/publish test/netns/crash/testdata/sections docs/soak.md

## bench: figures of the real kernel, printed and written to docs/benchmarks.md; under half an hour
BENCH_COMPUTE = XFRM_PLAN_BENCH_HOST="$$(sed -n '/^model name/ {s/.*: //p;q}' /proc/cpuinfo)" $(ON_KERNEL) -run '^$$' -bench Compute -benchtime 3x -timeout 15m \
	./test/netns/bench -exec '$(LAB) exec -mem 3072 -env XFRM_PLAN_BENCH_HOST
bench: lab
	$(BENCH_COMPUTE)'
	$(BENCH_COMPUTE) -cpus 2 -parallel'
	$(GO) run -buildvcs=false ./test/section/publish test/netns/bench/testdata/sections docs/benchmarks.md

## bench-engine: apply beside its floor and older ways; the machine's clock counts instructions, so that a busy host makes it slow, not wrong
bench: bench-engine

# Memory for 20,000 Child SAs and their messages. BENCH has the tests' own flags, such as -n=10,100,1000.
BENCH_ENGINE := $(ON_KERNEL) -v -timeout 60m ./test/netns/bench/engine -exec '$(LAB) exec -system -counted -mem 4096
bench-engine: build lab
	$(BENCH_ENGINE) -with $(PROGRAM):/usr/bin/xfrm-plan' -args -out=testdata/ways.json -parallel-out=testdata/parallel-1.json $(BENCH)
	$(BENCH_ENGINE) -with $(PROGRAM):/usr/bin/xfrm-plan -cpus 2' -args -parallel-out=testdata/parallel-2.json
	$(GO) run -buildvcs=false ./test/netns/bench/engine/report

## lint: what reviewers would say first
lint: bin/golangci-lint
	@files="$$(gofmt -l .)"; test -z "$$files" || { echo "$$files"; echo 'run gofmt -w on these'; exit 1; }
	bin/golangci-lint run ./...

bin/golangci-lint: Makefile
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	@touch $@

clean: ; rm -rf bin coverage
