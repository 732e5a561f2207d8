# prgate: make, make run, make check. Everything that is built goes to $(BUILD).
#
# PREFIX, DESTDIR, CC, CFLAGS, LDFLAGS and PKG_CONFIG are yours; what the code
# cannot do without is kept apart from them.

VERSION = 0.1.0
BUILD = build
PREFIX = /usr/local
CC = gcc
CFLAGS = -O2 -g
LDFLAGS =
PKG_CONFIG = pkg-config
PYTHON = /usr/bin/python3

# The sanitizers' builds, here and nowhere else. gcc's make -Wformat-truncation see things: clang's build is the
# checked one.
ASAN = -fsanitize=address,undefined -fno-sanitize-recover=all
TSAN = -fsanitize=thread
SANITIZED = -O1 -g -fno-omit-frame-pointer

WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wswitch-enum -Wformat-security -Werror
# What tests/hardening.sh looks for in the programs. Not every machine has all of it. Fortified functions need an
# optimizer, and hide from sanitizers what they look for.
accepts = $(shell $(CC) -Werror $(1) -x c -c -o /dev/null /dev/null 2>/dev/null && echo $(1))
MACHINE := $(call accepts,-fstack-clash-protection) $(call accepts,-fcf-protection)
FORTIFY_LEVEL := $(if $(call accepts,-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -include stdio.h),3,2)
FORTIFY = $(if $(findstring -fsanitize,$(CFLAGS)),,$(if $(filter -O -O1 -O2 -O3 -Os -Og,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(FORTIFY_LEVEL)))
HARDENING = -fPIE -fstack-protector-strong $(MACHINE) $(FORTIFY)
LINKING = -pie -Wl,-z,relro,-z,now,-z,noexecstack
PACKAGES = fcgi libcurl libcjson libconfuse libcrypto
override CPPFLAGS += -Iinclude -Ifcgi -Icli -D_GNU_SOURCE -DPRGATE_VERSION='"$(VERSION)"' \
	-DTEST_SOURCE_DIR='"$(CURDIR)/tests"'
MANDATORY = -std=c17 -pthread $(WARNINGS) $(HARDENING)
LIBRARIES = $$($(PKG_CONFIG) --libs $(PACKAGES)) -ldb

# Lower layers first; tests/layers.sh holds the includes to this order.
CORE = err buf spares tree clock pr text json links log fiber secrecy codec signature key \
	glob template patch config_check config config_policy command needs event_json event_check event_queue event_comment \
	event_trust event delivery record intent decide decide_approve decide_budget decide_command decide_cancel decide_queue decide_shadow \
	decide_policy rule http_hub http app_auth github github_auth github_reply github_pull github_user github_issue github_reaction \
	github_check github_actions github_runs github_hooks github_app app_dir github_manifest github_policy manifest \
	setup trigger wording wording_policy wording_messages \
	boot fence turn batch store_sync store store_backup intake tables visible health heads budget contents ledger alive dump claims metrics salvage \
	shared_tokens questions gate dead pace repos files forget trust act_runs act_policy act inbox wake drain crew retain redeliver \
	reconcile sweep report board next narrate inspect inspect_github
FCGI = web door page templates query present status setup_page monitor routes connections reload footprint serve_fcgi serve_cgi main
CLI = cli cli_errors cmd_app_manifest cmd_backup cmd_check cmd_dead cmd_drain cmd_dump cmd_explain cmd_operate cmd_replay cmd_setup cmd_simulate \
	cmd_status cmd_tail \
	replay_people replay_load replay_world replay_api replay_plan replay_store replay_run replay_compare prgatectl
UNIT = $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))

CORE_OBJECTS = $(CORE:%=$(BUILD)/core/%.o)
FCGI_OBJECTS = $(FCGI:%=$(BUILD)/fcgi/%.o)
CLI_OBJECTS = $(CLI:%=$(BUILD)/cli/%.o)
UNIT_PROGRAMS = $(UNIT:%=$(BUILD)/unit/%)

export TSAN_OPTIONS LSAN_OPTIONS

.PHONY: all
all: $(BUILD)/prgate.fcgi $(BUILD)/prgatectl

$(BUILD)/prgate.fcgi: $(FCGI_OBJECTS) $(CORE_OBJECTS)
	$(CC) $(MANDATORY) $(CFLAGS) $(LINKING) $(LDFLAGS) -o $@ $^ $(LIBRARIES)

$(BUILD)/prgatectl: $(CLI_OBJECTS) $(CORE_OBJECTS)
	$(CC) $(MANDATORY) $(CFLAGS) $(LINKING) $(LDFLAGS) -o $@ $^ $(LIBRARIES)

# All but what has a main() or speaks to a real server.
EDGE_OBJECTS = $(filter-out $(BUILD)/fcgi/main.o $(BUILD)/fcgi/serve_%.o,$(FCGI_OBJECTS))

# What prgate itself does in transactions can be done twice, see tests/unit/run_again.c; what a test does, is not.
# (-D renames the type `struct store_txn`, too: it is opaque.)
$(BUILD)/tests/unit/test_%.o: override CPPFLAGS += -Dstore_txn=__real_store_txn

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/tests/unit/run_again.o $(CORE_OBJECTS) $(EDGE_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(MANDATORY) $(CFLAGS) $(LINKING) $(LDFLAGS) -o $@ $^ $(LIBRARIES) -Wl,--wrap=store_txn -lcmocka

$(BUILD)/bench/growth: $(BUILD)/tests/bench/growth.o $(CORE_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(MANDATORY) $(CFLAGS) $(LINKING) $(LDFLAGS) -o $@ $^ $(LIBRARIES)

$(BUILD)/bench/guard: $(BUILD)/tests/bench/guard.o $(CORE_OBJECTS) $(EDGE_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(MANDATORY) $(CFLAGS) $(LINKING) $(LDFLAGS) -o $@ $^ $(LIBRARIES)

$(BUILD)/web/seed: $(BUILD)/tests/web/seed.o $(BUILD)/tests/web/states.o $(CORE_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(MANDATORY) $(CFLAGS) $(LINKING) $(LDFLAGS) -o $@ $^ $(LIBRARIES)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(MANDATORY) $(CFLAGS) -MMD -MP -c -o $@ $<

# .incbin, which the compiler does not tell of.
$(BUILD)/fcgi/templates.o: $(wildcard fcgi/templates/*)

# points.so kills prgate at named points, order.so writes down what was synced when, trust.so has an authority of the
# tests' trusted; only tests load them.
PRELOADED = points order trust
$(BUILD)/preload/%.so: tests/preload/%.c tests/preload/db_log.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(MANDATORY) $(CFLAGS) -fPIC -shared $(LDFLAGS) -o $@ $<

-include $(CORE_OBJECTS:.o=.d) $(FCGI_OBJECTS:.o=.d) $(CLI_OBJECTS:.o=.d) $(UNIT:%=$(BUILD)/tests/unit/%.d) $(BUILD)/tests/unit/run_again.d $(BUILD)/tests/bench/growth.d \
	$(BUILD)/tests/bench/guard.d \
	$(BUILD)/tests/web/seed.d $(BUILD)/tests/web/states.d

# ---- running ------------------------------------------------------------------

.PHONY: run packages-run packages-check
packages-run:
	@tools/packages.sh run

packages-check:
	@tools/packages.sh check

run: packages-run
	$(MAKE) all
	tools/run.sh

# ---- checking -------------------------------------------------------------------

.PHONY: check check-all check-unit check-asan check-tsan check-integration check-races check-crash check-peers \
	check-valgrind check-hardening check-security check-style check-clang check-mutants check-install check-sanitized \
	check-overload check-growth check-deb check-web
check: packages-check
	$(MAKE) check-all

check-all:
	tests/run.sh

# What more than one step of tests/run.sh needs, or one that has another beside it.
.PHONY: test-programs
test-programs: $(BUILD)/preload/points.so $(BUILD)/web/seed

check-unit: $(UNIT_PROGRAMS)
	tests/run-unit.sh $(UNIT_PROGRAMS)

# Built by themselves, for tests/sanitized.sh.
.PHONY: asan tsan
asan:
	$(MAKE) BUILD=$(BUILD)/asan CC=clang CFLAGS="$(SANITIZED) $(ASAN)" $(GOAL)

tsan:
	$(MAKE) BUILD=$(BUILD)/tsan CC=clang CFLAGS="$(SANITIZED) $(TSAN)" $(GOAL)

GOAL = all
# gcc's sanitizers make -Wformat-truncation see things: clang's build is the checked one.
# Short: counts and sizes. Long: 1,000, 100,000 and 1,000,000 pull requests, or N="..."; below TMPDIR, about 4 GB.
check-growth: $(BUILD)/bench/growth
	$(BUILD)/bench/growth -s

.PHONY: bench-growth
N =
bench-growth: $(BUILD)/bench/growth
	$(BUILD)/bench/growth $(N)

LEAKS = LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0
check-asan:
	$(MAKE) asan GOAL=check-unit $(LEAKS)

# Every transaction of prgate's is run again, after an abort and after a commit: see tests/unit/run_again.c.
KEEPS_STORE = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(shell grep -l fixture_open tests/unit/test_*.c)))

.PHONY: check-run-again run-again
check-run-again:
	$(MAKE) asan GOAL=run-again $(LEAKS)

run-again: $(KEEPS_STORE)
	RUN_AGAIN=aborted tests/run-unit.sh $(KEEPS_STORE)
	RUN_AGAIN=committed tests/run-unit.sh $(KEEPS_STORE)

check-tsan:
	$(MAKE) tsan GOAL=check-unit TSAN_OPTIONS=suppressions=$(CURDIR)/tests/tsan.supp

# Each harness of tests/fuzz for FUZZ_SECONDS, two at a time, from tests/fuzz/corpus; new inputs go to $(BUILD)/fuzz/new.
FUZZ = $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_SECONDS = 50

.PHONY: fuzz fuzz-programs
fuzz:
	$(MAKE) BUILD=$(BUILD)/fuzz CC=clang CFLAGS="$(SANITIZED) $(ASAN) -fsanitize=fuzzer-no-link" fuzz-programs
	tests/fuzz.sh $(BUILD)/fuzz $(FUZZ_SECONDS) $(FUZZ)

fuzz-programs: $(FUZZ:%=$(BUILD)/fuzz_%)

# fuzz_github has core/http.c in it, to reach the parser of headers.
$(BUILD)/fuzz_github: FUZZ_LEAVES_OUT = $(BUILD)/core/http.o
$(BUILD)/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(CORE_OBJECTS) $(EDGE_OBJECTS)
	$(CC) $(MANDATORY) $(CFLAGS) -fsanitize=fuzzer $(LINKING) $(LDFLAGS) -o $@ \
		$(filter-out $(FUZZ_LEAVES_OUT),$^) $(LIBRARIES)

-include $(FUZZ:%=$(BUILD)/tests/fuzz/fuzz_%.d)

# The unit tests under memcheck: all that make sense, a few minutes; VALGRIND=short is what `make check` has.
VALGRIND = all

check-valgrind: $(UNIT_PROGRAMS)
	tests/valgrind.sh $(VALGRIND) $(BUILD)

check-hardening: all
	tests/hardening.sh $(BUILD)/prgate.fcgi $(BUILD)/prgatectl

check-clang:
	$(MAKE) BUILD=$(BUILD)/clang CC=clang all

TESTS = tests/integration
PYTEST =
# Those have a step of their own.
LEFT_OUT = $(if $(filter tests/integration,$(TESTS)),--ignore=tests/integration/test_crash.py --ignore=tests/integration/test_signals.py)

check-integration: all $(PRELOADED:%=$(BUILD)/preload/%.so)
	$(PYTHON) -m pytest -q -p no:cacheprovider -n 6 --dist loadgroup $(PYTEST) $(LEFT_OUT) $(TESTS)

# How many calls to GitHub a pull request costs: the tables of docs/performance.md.
.PHONY: count-calls
count-calls: all
	$(PYTHON) -m pytest -q -s -p no:cacheprovider -n 0 tests/integration/test_calls.py

# CRASH_N=2000 make check-crash is a long run, CRASH_SEED=N repeats the dice of one.
check-crash: all $(BUILD)/preload/points.so
	tests/crash.sh

check-races: all
	$(PYTHON) -m pytest -q -s -p no:cacheprovider tests/integration/test_races.py

# Ten times what `make check` sends; prints what the pool used, and what became of the deliveries.
OVERLOAD_N = 10000
check-overload: all $(BUILD)/unit/test_heads
	HEADS_PUSHES=2000 $(BUILD)/unit/test_heads
	OVERLOAD_N=$(OVERLOAD_N) $(PYTHON) -m pytest -q -s -p no:cacheprovider tests/integration/test_overload.py

check-peers: all
	tests/peers/run.sh

# The status page in a real browser, at WEB_N pull requests; pictures go to $(BUILD)/web.
WEB_N = 10000
check-web: all $(BUILD)/web/seed
	BUILD=$(BUILD) WEB_N=$(WEB_N) tests/web/run.sh

check-sanitized:
	tests/sanitized.sh

check-style:
	tests/style.sh

check-security: $(BUILD)/check_signature
	BUILD=$(BUILD) tests/security.sh

$(BUILD)/check_signature: $(BUILD)/tests/timing/check_signature.o $(CORE_OBJECTS)
	$(CC) $(MANDATORY) $(CFLAGS) $(LINKING) $(LDFLAGS) -o $@ $^ $(LIBRARIES)

-include $(BUILD)/tests/timing/check_signature.d

check-mutants:
	tests/mutants.sh

check-install: all
	tests/install.sh

# Builds the package twice, the second time as a newer version, and takes them through their life.
check-deb:
	BUILD=$(BUILD) tests/deb.sh

# ---- measuring --------------------------------------------------------------------

# Prints ratios and counts; nothing fails because a machine is slow.
.PHONY: bench packages-bench
packages-bench:
	@tools/packages.sh bench

bench: packages-bench
	$(MAKE) bench-run

# What `make bench` measures beside prgate, where it is there; nothing else comes from the net.
.PHONY: bench-peers
bench-peers:
	@tools/packages.sh peers
	tests/npm-ci.sh tests/bench/peers peers

# Also BENCH_ROWS=..., BENCH_S=..., BENCH_SHORT=1: see tests/bench/bench.py.
BENCH_PROGRAMS = null_responder null_cgi disk count_syncs.so growth guard

.PHONY: bench-run
bench-run: all $(BENCH_PROGRAMS:%=$(BUILD)/bench/%) $(BUILD)/web/seed
	$(PYTHON) tests/bench/bench.py

# The table of the last run, into docs/performance.md.
.PHONY: bench-docs
bench-docs:
	$(PYTHON) tests/bench/into_page.py $(BUILD)/bench.md docs/performance.md

$(BUILD)/bench/disk $(BUILD)/bench/null_cgi: $(BUILD)/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE $(MANDATORY) $(CFLAGS) -pie $(LDFLAGS) -o $@ $<

$(BUILD)/bench/null_responder: tests/bench/null_responder.c
	@mkdir -p $(@D)
	$(CC) $(MANDATORY) $(CFLAGS) -pie $(LDFLAGS) -o $@ $< $$($(PKG_CONFIG) --libs fcgi)

$(BUILD)/bench/count_syncs.so: tests/bench/count_syncs.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE $(MANDATORY) -fPIC $(CFLAGS) -shared $(LDFLAGS) -o $@ $< -ldl

# Instructions per delivery, by phase: fails on a tenth more than tests/bench/guard-counts.json, which the second one writes.
.PHONY: bench-guard bench-guard-update
bench-guard: $(BUILD)/bench/guard
	$(PYTHON) tests/bench/guard.py $(BUILD)

bench-guard-update: $(BUILD)/bench/guard
	$(PYTHON) tests/bench/guard.py --update $(BUILD)

# ---- installing -------------------------------------------------------------------

DOC = $(DESTDIR)$(PREFIX)/share/doc/prgate
MAN = $(DESTDIR)$(PREFIX)/share/man
BASH_COMPLETIONS = $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETIONS = $(PREFIX)/share/zsh/site-functions
# Links fit the sources; installed, all pages are in one directory, and the examples below it.
FLAT = 's,\(](\|src="\|href="\)docs/,\1,g; s,](\.\./,](,g; s,](conf/,](examples/,g; s,](nginx\.conf\.example,](examples/nginx.conf.example,g'
EXAMPLES = nginx.conf.example $(filter-out conf/completion,$(wildcard conf/*))

.PHONY: install uninstall
install: all
	install -d $(DESTDIR)$(PREFIX)/lib/prgate $(DESTDIR)$(PREFIX)/bin $(DOC)/examples $(MAN)/man1 $(MAN)/man5 $(MAN)/man8 \
		$(DESTDIR)$(BASH_COMPLETIONS) $(DESTDIR)$(ZSH_COMPLETIONS)
	install -m 755 $(BUILD)/prgate.fcgi $(DESTDIR)$(PREFIX)/lib/prgate/prgate.fcgi
	install -m 755 $(BUILD)/prgatectl $(DESTDIR)$(PREFIX)/bin/prgatectl
	install -m 644 README.md CHANGELOG.md SECURITY.md LICENSE docs/*.md docs/*.png $(DOC)
	install -m 644 $(EXAMPLES) $(DOC)/examples
	sed -i 's#/usr/lib/prgate#$(PREFIX)/lib/prgate#g; s#/usr/bin/prgatectl#$(PREFIX)/bin/prgatectl#g' \
		$(DOC)/*.md $(DOC)/examples/*
	sed -i $(FLAT) $(DOC)/*.md
	install -m 644 docs/prgatectl.1 $(MAN)/man1
	install -m 644 docs/prgate.conf.5 $(MAN)/man5
	install -m 644 docs/prgate.8 $(MAN)/man8
	install -m 644 conf/completion/prgatectl.bash $(DESTDIR)$(BASH_COMPLETIONS)/prgatectl
	install -m 644 conf/completion/_prgatectl $(DESTDIR)$(ZSH_COMPLETIONS)/_prgatectl

uninstall:
	rm -rf $(DESTDIR)$(PREFIX)/lib/prgate $(DOC)
	rm -f $(DESTDIR)$(PREFIX)/bin/prgatectl $(MAN)/man1/prgatectl.1 $(MAN)/man5/prgate.conf.5 $(MAN)/man8/prgate.8 \
		$(DESTDIR)$(BASH_COMPLETIONS)/prgatectl $(DESTDIR)$(ZSH_COMPLETIONS)/_prgatectl

# The Debian package, in $(BUILD)/deb, from a copy of the sources: debian/ leaves nothing among them.
.PHONY: deb
deb:
	tools/deb.sh $(BUILD)/deb

.PHONY: clean dist
clean:
	rm -rf $(BUILD)

dist:
	@mkdir -p $(BUILD)
	git archive --prefix=prgate-$(VERSION)/ -o $(BUILD)/prgate-$(VERSION).tar.gz HEAD
