# A thin front: each target is one command that also stands in CONTRIBUTING.md.
.PHONY: all check test lint fmt run sim sim-shrink sim-mutants sim-corpus sim-ledger chaos chaos-mutants chaos-ledger
.PHONY: clean help
all: ## the debug build
	cmake --preset debug
	cmake --build --preset debug
check: all ## lint, unit and model tests on the debug build
	ctest --test-dir build/debug --output-on-failure -LE '^(long|short|e2e|differential|bench|chaos)$$'
test: ## everything that CI runs
	./scripts/test
lint: all ## the conventions that a program can check
	ctest --test-dir build/debug --output-on-failure -L '^lint$$'
fmt: ## lays the code out as clang-format 14 does
	git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i
run: ## a cluster on this machine
	./scripts/run
sim: ## the simulator: fresh seeds for SECONDS=600 (FIRST=n), or SEED=n again (V=1: every message)
	./scripts/sim $(if $(SEED),replay $(SEED) $(if $(V),-v),run --seconds $(or $(SECONDS),600) $(addprefix --first ,$(FIRST))) $(ARGS)
sim-shrink: ## a smaller run of SEED=n that still fails
	./scripts/sim shrink $(SEED) $(ARGS)
sim-mutants: ## are planted faults found?
	./scripts/sim mutants $(ARGS)
sim-corpus: ## every seed of the simulator that ever failed
	./scripts/sim corpus $(ARGS)
sim-ledger: ## what the long runs of the simulator add up to
	./scripts/sim ledger
chaos: ## faults on real daemons for SECONDS=300, all from SEED=n (EXPERIMENT=mixed; ARGS='--faults kill,partition')
	./scripts/chaos run $(or $(EXPERIMENT),mixed) --seconds $(or $(SECONDS),300) $(addprefix --seed ,$(SEED)) $(ARGS)
chaos-mutants: ## does the chaos rig find planted faults?
	./scripts/chaos mutants $(ARGS)
chaos-ledger: ## what the long runs of the chaos rig add up to
	./scripts/chaos ledger
clean: ## removes what was built
	rm -rf build
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile
