# The front door. It holds no build rules: CMake builds (see CMakePresets.json), the scripts of tools/ do the rest.
#
#   make               builds glot (build/release/glot), with the packages it needs
#   make demo          everything from nothing to an expanded model and its report: ten to twenty minutes on two cores
#   make demo-offline  the same in small, with a base of 3 million parameters that is in the repository: under two minutes
#   make check         everything from nothing to every test passed
#   make setup         only install the packages that are missing
#
# Longer ones:
#   make check-full    make check, and the tests that compare whole data sets (label long), sanitizers included
#   make tsan          the tests under ThreadSanitizer (clang)
#   make fuzz          every fuzz target for FUZZ_SECONDS (60) seconds (clang); findings are left in build/fuzz/findings

.PHONY: build demo demo-offline check setup check-full tsan fuzz

build: setup
	@cmake --preset release
	@cmake --build --preset release -j"$$(nproc)"

demo:
	@tools/demo

demo-offline:
	@tools/demo --offline

check:
	@tools/check

setup:
	@tools/setup

check-full:
	@tools/check --full

tsan:
	@tools/check --tsan

fuzz:
	@tools/fuzz
