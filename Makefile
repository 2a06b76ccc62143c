# A thin front: each target is one command that also stands in CONTRIBUTING.md.
.PHONY: all check test lint fmt run clean help
all: ## the debug build
	cmake --preset debug
	cmake --build --preset debug
check: all ## lint, unit and model tests on the debug build
	ctest --test-dir build/debug --output-on-failure -LE '^(long|short|e2e|differential|bench)$$'
test: ## everything that CI runs
	./scripts/test
lint: all ## the conventions that a program can check
	ctest --test-dir build/debug --output-on-failure -L '^lint$$'
fmt: ## lays the code out as clang-format 14 does
	git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i
run: ## a cluster on this machine
	./scripts/run
clean: ## removes what was built
	rm -rf build
help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile
