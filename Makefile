# make            build the programs into build/
# make run        a guarded Roundcube on this machine, everything private, Ctrl-C stops it
# make test       everything that CI runs
# make test-on SUITE=trixie  the same on another Debian, in a chroot; FRESH=1 makes that anew
# make bench      speed against the floor, as ratios
# make bench-peers  the mail server's door beside other policy services
# make check      the unit tests alone
# make docs       docs/settings.md and sendguard.conf.example anew, from the table of settings
# make install    programs, systemd units, user, sample settings, plugin; PREFIX, DESTDIR
# SAN=address,undefined or SAN=thread builds a variant into build/SAN/.

CC ?= gcc
SAN ?=
empty :=
comma := ,
B := build$(if $(SAN),/$(subst $(comma),-,$(SAN)))

VERSION := 0.1
PACKAGES := gmime-3.0 json-c hiredis sqlite3 libsodium libidn2 inih

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wformat=2 -Wcast-qual -Wundef -Wpointer-arith -Wwrite-strings
HARDENING := -fstack-protector-strong -fstack-clash-protection -fno-common -fPIE \
	$(if $(filter x86_64 i%86,$(shell uname -m)),-fcf-protection=full)
SANITIZER := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer,-D_FORTIFY_SOURCE=3)

CPPFLAGS += -D_GNU_SOURCE -DSENDGUARD_VERSION='"$(VERSION)"' -Ilib -Ifcgi -Iweb -Imta -I$(B) \
	$(shell pkg-config --cflags $(PACKAGES) 2>/dev/null | sed 's/-I/-isystem /g')
CFLAGS += -std=gnu17 -O2 -g -pthread $(WARNINGS) $(HARDENING) $(SANITIZER) $(if $(CI),-Werror)
LDFLAGS += -pie -pthread -Wl,-z,relro,-z,now,-z,noexecstack $(if $(SAN),-fsanitize=$(SAN))
LDLIBS += $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)

LIB_OBJECTS := $(patsubst %.c,$(B)/%.o,$(wildcard lib/*.c))
# The webmail door without its process: what tests and fuzzers can link.
FCGI_PARTS := $(patsubst %.c,$(B)/%.o,$(filter-out fcgi/main.c fcgi/worker.c,$(wildcard fcgi/*.c)))
FCGI_OBJECTS := $(patsubst %.c,$(B)/%.o,$(wildcard fcgi/*.c))
# The people's door without its process and its HTTP library.
WEB_PARTS := $(patsubst %.c,$(B)/%.o,$(filter-out web/main.c web/server%.c,$(wildcard web/*.c)))
WEB_OBJECTS := $(patsubst %.c,$(B)/%.o,$(wildcard web/*.c))
# The mail server's door without its process.
MTA_PARTS := $(patsubst %.c,$(B)/%.o,$(filter-out mta/main.c,$(wildcard mta/*.c)))
MTA_OBJECTS := $(patsubst %.c,$(B)/%.o,$(wildcard mta/*.c))
CLI_OBJECTS := $(patsubst %.c,$(B)/%.o,$(wildcard cli/*.c))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_HELPERS := $(patsubst %.c,$(B)/%.o,$(filter-out $(wildcard tests/unit/test_*.c),$(wildcard tests/unit/*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCHES := $(patsubst bench/%.c,$(B)/bench/%,$(wildcard bench/bench_*.c))

.PHONY: all docs install programs units benches fuzzers run test test-on check bench bench-peers clean deps-build deps-run deps-test deps-bench deps-peers
.SECONDARY:

all: deps-build
	@$(MAKE) --no-print-directory programs

programs: $(B)/sendguard-fcgi $(B)/sendguard-web $(B)/sendguard-mta $(B)/sendguard

deps-build deps-run deps-test deps-bench deps-peers:
	@tools/install-packages $(@:deps-%=%)

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# A script travels inside the program, as an array of its bytes.
$(B)/%.lua.h: lib/%.lua Makefile
	@mkdir -p $(@D)
	{ printf 'static const char %s_lua[] = {' $*; od -An -v -tu1 $< | sed 's/\([0-9]\+\)/\1,/g'; printf '0};\n'; } > $@.new
	mv $@.new $@

$(B)/lib/store_redis.o: $(patsubst lib/%.lua,$(B)/%.lua.h,$(wildcard lib/*.lua))

# So do templates, and what pages bring along.
TEMPLATES := $(shell find templates -type f)
ASSETS := $(shell find web/assets -type f)
$(B)/templates.c: $(TEMPLATES) tools/embed Makefile
	@mkdir -p $(@D)
	tools/embed templates templates > $@.new
	mv $@.new $@
$(B)/assets.c: $(ASSETS) tools/embed Makefile
	@mkdir -p $(@D)
	tools/embed assets web/assets > $@.new
	mv $@.new $@
$(B)/%.o: $(B)/%.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
LIB_OBJECTS += $(B)/templates.o
WEB_PARTS += $(B)/assets.o
WEB_OBJECTS += $(B)/assets.o

$(B)/libsendguard.a: $(LIB_OBJECTS)
	rm -f $@
	ar rcs $@ $^

$(B)/sendguard-fcgi: $(FCGI_OBJECTS) $(B)/libsendguard.a
	$(CC) $(LDFLAGS) -o $@ $^ -lfcgi $(LDLIBS)

$(B)/sendguard-web: $(WEB_OBJECTS) $(B)/libsendguard.a
	$(CC) $(LDFLAGS) -o $@ $^ -lmicrohttpd $(LDLIBS)

$(B)/sendguard-mta: $(MTA_OBJECTS) $(B)/libsendguard.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/sendguard: $(CLI_OBJECTS) $(B)/libsendguard.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(UNIT_HELPERS) $(B)/parts.a $(B)/libsendguard.a
	$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs check) $(LDLIBS)

$(B)/bench/%: $(B)/bench/%.o $(B)/libsendguard.a
	$(CC) $(LDFLAGS) -o $@ $^ -lfcgi $(LDLIBS)

# A door's parts, taken from an archive: a test links what it uses.
$(B)/parts.a: $(FCGI_PARTS) $(WEB_PARTS) $(MTA_PARTS)
	rm -f $@
	ar rcs $@ $^

# Reads forms for the test that compares readers.
$(B)/tests/roundcube/form_reader: $(B)/tests/roundcube/form_reader.o $(B)/parts.a $(B)/libsendguard.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

units: $(UNIT_TESTS) $(B)/tests/roundcube/form_reader
benches: $(BENCHES)

# Fuzzers want clang's coverage in all of our code: objects of their own, built once for all of them.
FUZZ_FLAGS := -std=gnu17 -O1 -g -pthread -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZED := $(patsubst %.c,build/fuzz/%.o,$(wildcard lib/*.c) $(filter-out fcgi/main.c fcgi/worker.c,$(wildcard fcgi/*.c)) \
	$(filter-out web/main.c web/server%.c,$(wildcard web/*.c)) $(filter-out mta/main.c,$(wildcard mta/*.c)))
build/fuzz/%.o: %.c Makefile
	@mkdir -p $(@D)
	clang $(CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
build/fuzz/lib/store_redis.o: $(patsubst lib/%.lua,$(B)/%.lua.h,$(wildcard lib/*.lua))
build/fuzz/parts.a: $(FUZZED) $(B)/templates.o $(B)/assets.o
	rm -f $@
	ar rcs $@ $^
build/fuzz/fuzz_%: build/fuzz/tests/fuzz/fuzz_%.o build/fuzz/parts.a
	clang $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)
fuzzers: $(FUZZERS)

check: deps-test
	@$(MAKE) --no-print-directory units
	@for test in $(UNIT_TESTS); do $$test || exit 1; done

run: deps-run
	@$(MAKE) --no-print-directory programs
	@tools/run

test: deps-test
	@tests/run

# As root: a chroot in $XDG_CACHE_HOME or /var/cache, in which HEAD is built and tested.
SUITE ?= trixie
test-on:
	@tools/test-on $(if $(FRESH),--fresh) $(SUITE)

bench: deps-bench
	@$(MAKE) --no-print-directory programs benches
	@bench/run

bench-peers: deps-peers
	@$(MAKE) --no-print-directory programs benches
	@bench/peers.py

# The reference of settings and the sample file come from the table of settings.
docs: $(B)/tests/unit/test_settings_file
	@SENDGUARD_WRITE_DOCS=1 $<

PREFIX ?= /usr/local
SHARE = $(DESTDIR)$(PREFIX)/share
# systemd looks for tmpfiles.d below these two prefixes, and in /etc.
TMPFILES = $(DESTDIR)$(if $(filter /usr /usr/local,$(PREFIX)),$(PREFIX)/lib,/etc)/tmpfiles.d
# Everything an operator needs; the user, the settings file and the state directory only if they
# are not there. With DESTDIR the user is not made, and the settings file belongs to who packs it.
install: programs
	install -D -m 755 $(B)/sendguard-fcgi $(DESTDIR)$(PREFIX)/sbin/sendguard-fcgi
	install -D -m 755 $(B)/sendguard-web $(DESTDIR)$(PREFIX)/sbin/sendguard-web
	install -D -m 755 $(B)/sendguard-mta $(DESTDIR)$(PREFIX)/sbin/sendguard-mta
	install -D -m 755 $(B)/sendguard $(DESTDIR)$(PREFIX)/bin/sendguard
	install -D -m 644 contrib/bash-completion/sendguard \
		$(SHARE)/bash-completion/completions/sendguard
	install -D -m 644 contrib/sendguard.tmpfiles $(TMPFILES)/sendguard.conf
	mkdir -p $(DESTDIR)/etc/systemd/system $(SHARE)/doc/sendguard $(SHARE)/sendguard/roundcube
	for unit in contrib/*.service; do sed 's|/usr/local|$(PREFIX)|g' $$unit \
		> $(DESTDIR)/etc/systemd/system/$${unit##*/} || exit 1; done
	cp -r README.md LICENSE nginx.conf.example docs templates $(SHARE)/doc/sendguard/
	cp -r webmail/roundcube/sendguard $(SHARE)/sendguard/roundcube/
	[ -n "$(DESTDIR)" ] || id sendguard >/dev/null 2>&1 || \
		useradd --system --user-group --home-dir /var/lib/sendguard --shell /usr/sbin/nologin sendguard
	[ -e $(DESTDIR)/etc/sendguard/sendguard.conf ] || \
		install -D -m 640 $(if $(DESTDIR),,-g sendguard) sendguard.conf.example \
		$(DESTDIR)/etc/sendguard/sendguard.conf
	[ -n "$(DESTDIR)" ] || [ -e /var/lib/sendguard ] || \
		install -d -m 700 -o sendguard -g sendguard /var/lib/sendguard

clean:
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
