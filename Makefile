# make                 build the programs into build/
# make run             start a guarded Roundcube on this machine, everything private; Ctrl-C stops it
# make test            run everything that CI runs
# make check           run the unit tests
# make test-long       run what takes longer: both compilers, long fuzzing, all of it with sanitizers
# make test-on         run the tests on another Debian, in a chroot: SUITE=trixie, FRESH=1
# make conformance     read other people's bounces, mail logs and SPF records: SETS=DIR
# make bench           measure the speed against the floor, as ratios
# make bench-peers     measure beside other policy services
# make bench-feedback  measure delivery feedback, beside others that read a mail server's log
# make docs            write docs/settings.md and sendguard.conf.example from the table of settings
# make install         install programs, systemd units, user, settings, plugin: PREFIX, DESTDIR
# make uninstall       remove what `make install` installed; leaves settings and data: PREFIX, DESTDIR
# make deb             build the Debian packages into build/deb/
# make clean           remove build/
# make help            print this list
# V=1 shows the commands. SAN=address,undefined or SAN=thread builds into build/SAN/.

CC ?= gcc
SAN ?=
empty :=
comma := ,
B := build$(if $(SAN),/$(subst $(comma),-,$(SAN)))

VERSION := 0.2
PACKAGES := gmime-3.0 json-c hiredis openssl sqlite3 libsodium libidn2 libseccomp
PACKAGES_CPPFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null | sed 's/-I/-isystem /g')
PACKAGES_LDLIBS := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wformat=2 -Wcast-qual -Wundef -Wpointer-arith -Wwrite-strings
HARDENING := -fstack-protector-strong -fstack-clash-protection -fno-common -fPIE \
	$(if $(filter x86_64 i%86,$(shell uname -m)),-fcf-protection=full)
SANITIZER := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer,-D_FORTIFY_SOURCE=3)

CPPFLAGS += -D_GNU_SOURCE -DSENDGUARD_VERSION='"$(VERSION)"' -Ilib -I. -I$(B)/lib $(PACKAGES_CPPFLAGS)
# With a sanitizer, lines are all that a report names of what -g knows.
CFLAGS += -std=gnu17 $(if $(SAN),-O1 -g1,-O2 -g) -pthread $(WARNINGS) $(HARDENING) $(SANITIZER) $(if $(CI),-Werror)
LDFLAGS += -pie -pthread -Wl,-z,relro,-z,now,-z,noexecstack $(if $(SAN),-fsanitize=$(SAN))
LDLIBS += $(PACKAGES_LDLIBS)
# What is only for tests is linked in a third of the time where lld is; programs are not.
LLD := $(if $(shell command -v ld.lld),-fuse-ld=lld)
LDFLAGS += $(if $(SAN),$(LLD))

# As many commands at once as there are processors; a -j of the caller wins. What make calls
# itself has inherited it.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif

# A rule begins with what it makes: "CC   lib/guard/guard.c".
Q := $(if $(V),,@)
say = $(if $(V)$(findstring s,$(firstword -$(MAKEFLAGS))),,@printf '  %-5s %s\n' $(1) $(2))

# The layers of lib/, the highest first: a folder includes those that its line in
# tools/layers names. Each is an archive of its own.
LAYERS := $(shell sed -n 's/^\([a-z]*\):.*/\1/p' tools/layers)
sources = $(sort $(shell find $(1) -name '*.c'))
objects = $(patsubst %.c,$(B)/%.o,$(1))
archives = $(patsubst %,$(B)/lib/%.a,$(1))
# What a test of layer $(1) links: the layer itself and those it may use, in the order of LAYERS.
layers_of = $(filter $(1) $(shell sed -n 's/^$(1)://p' tools/layers),$(LAYERS))
LIB := $(call archives,$(LAYERS))

# A program's parts without its process: what tests and fuzzers can link. The HTTP server's are
# linked by the programs that answer HTTP, which it does not know.
PROGRAMS := fcgi web mta milter feedback auth notifier parked http_server
SERVICES := sendguard-fcgi sendguard-web sendguard-mta sendguard-milter sendguard-feedback sendguard-auth \
	sendguard-notify sendguard-parked sendguard-postqueue
fcgi_PARTS := $(filter-out fcgi/main.c,$(call sources,fcgi))
web_PARTS := $(filter-out web/main.c,$(call sources,web))
mta_PARTS := $(filter-out mta/main.c,$(call sources,mta))
milter_PARTS := milter/header_message.c
feedback_PARTS := $(filter-out feedback/main.c,$(call sources,feedback))
auth_PARTS := $(filter-out auth/main.c,$(call sources,auth))
notifier_PARTS := $(filter-out notifier/main.c,$(call sources,notifier))
parked_PARTS := $(filter-out parked/main.c,$(call sources,parked))
http_server_PARTS := $(filter-out http_server/server.c,$(call sources,http_server))
# The journal can be read where libsystemd is; `make JOURNAL=` builds without.
JOURNAL ?= $(shell pkg-config --exists libsystemd && echo yes)
feedback_LIBRARIES := -lz -lunbound $(if $(JOURNAL),-lsystemd)
$(B)/feedback/log_source_journal.o: CPPFLAGS += $(if $(JOURNAL),-DSENDGUARD_JOURNAL)
parts = $(patsubst %,$(B)/%/parts.a,$(1))

UNIT_SOURCES := $(wildcard tests/unit/*/test_*.c)
UNIT_TESTS := $(patsubst %.c,$(B)/%,$(UNIT_SOURCES))
UNIT_HELPERS := $(call objects,$(filter-out $(UNIT_SOURCES),$(wildcard tests/unit/*/*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCHES := $(patsubst bench/%.c,$(B)/bench/%,$(wildcard bench/bench_*.c))

.PHONY: all help docs install uninstall man programs units benches fuzzers run test test-long test-on check conformance bench bench-peers clean deps-build deps-run deps-test deps-long deps-bench deps-peers deb deps-deb
.SECONDARY:

all: deps-build
	@$(MAKE) --no-print-directory programs man

programs: $(SERVICES:%=$(B)/%) $(B)/sendguard

deps-build deps-run deps-test deps-long deps-bench deps-peers deps-deb:
	@tools/install-packages $(@:deps-%=%)

help:
	@sed -n 's/^# make/make/p; s/^# \(V=1.*\)/\1/p' Makefile

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(B)/%.o: $(B)/%.c
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# A script of Redis travels inside the program, as an array of its bytes.
LUA := $(patsubst %.lua,$(B)/%.lua.h,$(wildcard lib/store/redis/*.lua))
$(B)/%.lua.h: %.lua Makefile
	@mkdir -p $(@D)
	$(Q){ printf 'static const char redis_%s_lua[] = {' $(*F); od -An -v -tu1 $< | sed 's/\([0-9]\+\)/\1,/g'; printf '0};\n'; } > $@.new
	$(Q)mv $@.new $@
$(B)/lib/store/redis/redis_script.o build/fuzz/lib/store/redis/redis_script.o: $(LUA)

# So do templates, and what pages bring along.
$(B)/templates.c: $(shell find templates -type f)
$(B)/assets.c: $(shell find web/assets -type f)
$(B)/templates.c $(B)/assets.c: tools/embed Makefile
	@mkdir -p $(@D)
	$(Q)tools/embed $(basename $(@F)) $(if $(filter assets%,$(@F)),web/assets,templates) > $@.new
	$(Q)mv $@.new $@

%.a:
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)ar rcs $@ $^

$(foreach layer,$(LAYERS),$(eval $(call archives,$(layer)): $(call objects,$(call sources,lib/$(layer)))))
$(B)/lib/text.a: $(B)/templates.o
$(foreach program,$(PROGRAMS),$(eval $(call parts,$(program)): $(call objects,$($(program)_PARTS))))
$(B)/web/parts.a: $(B)/assets.o
$(B)/tests/unit/helpers.a: $(UNIT_HELPERS)

# $^ is what the target needs, LIBRARIES what of the system it needs besides.
link = $(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBRARIES) $(LDLIBS)

$(B)/sendguard-fcgi: LIBRARIES := -lfcgi
$(B)/sendguard-fcgi: $(call objects,fcgi/main.c) $(B)/fcgi/parts.a $(LIB)
$(B)/sendguard-web: LIBRARIES := -lmicrohttpd -lqrencode
$(B)/sendguard-web: $(call objects,web/main.c http_server/server.c) $(B)/web/parts.a $(B)/http_server/parts.a $(LIB)
$(B)/sendguard-mta: $(call objects,mta/main.c) $(B)/mta/parts.a $(LIB)
$(B)/sendguard-milter: LIBRARIES := -lmilter
$(B)/sendguard-milter: $(call objects,milter/main.c milter/filter.c milter/sigwait.c) $(B)/milter/parts.a $(LIB)
$(B)/sendguard-feedback: LIBRARIES := $(feedback_LIBRARIES)
$(B)/sendguard-feedback: $(call objects,feedback/main.c) $(B)/feedback/parts.a $(LIB)
$(B)/sendguard-auth: LIBRARIES := -lmicrohttpd -lcurl
$(B)/sendguard-auth: $(call objects,auth/main.c http_server/server.c) $(B)/auth/parts.a $(B)/http_server/parts.a $(LIB)
$(B)/sendguard-notify: LIBRARIES := -lcurl
$(B)/sendguard-notify: $(call objects,notifier/main.c) $(B)/notifier/parts.a $(LIB)
$(B)/sendguard-parked: LIBRARIES := -lcurl
$(B)/sendguard-parked: $(call objects,parked/main.c) $(B)/parked/parts.a $(LIB)
$(B)/sendguard-postqueue: $(call objects,postqueue/main.c) $(LIB)
$(B)/sendguard: LIBRARIES := -lunbound -lcurl
$(B)/sendguard: $(call objects,$(call sources,cli)) $(LIB)
$(SERVICES:%=$(B)/%) $(B)/sendguard:
	$(call say,LINK,$@)
	$(link)

# What a sanitizer is to look at is what a test calls: its own code is compiled in half the time.
$(B)/tests/unit/%.o: CFLAGS += $(if $(SAN),-O0)

# A test of a layer links that layer and those that it may use, a test of a program its parts too.
$(B)/tests/unit/%: LDFLAGS += -Wl,--wrap=_mark_point $(LLD)
define unit_tests
$(B)/tests/unit/$(1)/%: $(B)/tests/unit/$(1)/%.o $(B)/tests/unit/helpers.a $(2)
	$$(call say,LINK,$$@)
	$$(link)
endef
$(B)/tests/unit/%: LIBRARIES = $(shell pkg-config --libs check)
$(B)/tests/unit/dns/%: LIBRARIES = $(shell pkg-config --libs check) -lunbound
$(B)/tests/unit/doveadm/%: LIBRARIES = $(shell pkg-config --libs check) -lcurl
$(B)/tests/unit/notify/%: LIBRARIES = $(shell pkg-config --libs check) -lcurl
$(B)/tests/unit/web/%: LIBRARIES = $(shell pkg-config --libs check) -lqrencode
$(B)/tests/unit/parked/%: LIBRARIES = $(shell pkg-config --libs check) -lcurl
$(B)/tests/unit/fcgi/%: LIBRARIES = $(shell pkg-config --libs check) -lfcgi
$(B)/tests/unit/feedback/%: LIBRARIES = $(shell pkg-config --libs check) $(feedback_LIBRARIES)
$(foreach layer,$(LAYERS),$(eval $(call unit_tests,$(layer),$(call archives,$(call layers_of,$(layer))))))
$(foreach program,$(PROGRAMS),$(eval $(call unit_tests,$(program),$(call parts,$(program) http_server) $(LIB))))

# With another table of rules: the layers that know it are built for this test alone.
OTHER_RULES := $(patsubst %.c,$(B)/other_rules/%.o,$(call sources,lib/rules lib/store) tests/unit/store/backends.c tests/unit/store/servers.c tests/unit/base/marks.c)
$(B)/other_rules/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -include tests/unit/store/more_rules.h -MMD -MP -c -o $@ $<
$(B)/other_rules/lib/store/redis/redis_script.o: $(LUA)
$(B)/tests/unit/store/test_store_windows: $(B)/other_rules/tests/unit/store/test_store_windows.o $(OTHER_RULES) $(call archives,message base)
	$(call say,LINK,$@)
	$(link)

# Prints what a log has, for the tests of the journal and for figures.
$(B)/tests/systemd/log_reader: LIBRARIES := $(feedback_LIBRARIES)
$(B)/tests/systemd/log_reader: $(B)/tests/systemd/log_reader.o $(B)/feedback/parts.a $(LIB)
	$(call say,LINK,$@)
	$(link)

$(B)/bench/%: LIBRARIES := -lfcgi
$(B)/bench/%: $(B)/bench/%.o $(LIB)
	$(call say,LINK,$@)
	$(link)

# Reads forms for the test that compares readers.
$(B)/tests/roundcube/form_reader: $(B)/tests/roundcube/form_reader.o $(B)/fcgi/parts.a $(LIB)
	$(call say,LINK,$@)
	$(link)

# Read other people's bounces, log lines and SPF records.
CONFORMANCE := $(B)/tests/conformance/mail_reader $(B)/tests/conformance/spf_reader
$(CONFORMANCE): $(B)/tests/conformance/%: $(B)/tests/conformance/%.o $(LIB)
	$(call say,LINK,$@)
	$(link)
conformance:
	@$(MAKE) --no-print-directory $(CONFORMANCE)
	@tests/conformance/run $(SETS)

units: $(UNIT_TESTS) $(B)/tests/roundcube/form_reader $(B)/tests/systemd/log_reader
benches: $(BENCHES)

# Fuzzers want clang's coverage in all of our code: objects of their own, built once for all of them.
FUZZ_FLAGS := -std=gnu17 -O1 -g1 -pthread $(WARNINGS) $(if $(CI),-Werror) -fsanitize=address,undefined -fno-sanitize-recover=all
# Only what a fuzzer calls, which is the lower layers and some parts of programs.
FUZZED_LAYERS := $(filter-out daemon desk staff notify doveadm remote,$(LAYERS))
FUZZED := $(call sources,$(FUZZED_LAYERS:%=lib/%)) $(addsuffix .c,auth/login_key auth/login_policy auth/login_request \
	auth/stolen_range fcgi/body fcgi/framing fcgi/multipart feedback/lmtp http_server/http_response \
	milter/header_message mta/collector mta/policy_answer mta/policy_batch mta/policy_message \
	mta/policy_request parked/draft)
build/fuzz/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)clang $(CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
build/fuzz/parts.a: $(patsubst %.c,build/fuzz/%.o,$(FUZZED)) $(B)/templates.o
build/fuzz/fuzz_%: build/fuzz/tests/fuzz/fuzz_%.o build/fuzz/parts.a
	$(call say,LINK,$@)
	$(Q)clang $(FUZZ_FLAGS) $(LLD) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)
fuzzers: $(FUZZERS)

check: deps-test
	@$(MAKE) --no-print-directory units
	@tests/units $(B)

run: deps-run
	@$(MAKE) --no-print-directory programs
	@tools/run

test: deps-test
	@tests/run

test-long: deps-long
	@tests/run --long

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

bench-feedback: deps-bench
	@$(MAKE) --no-print-directory programs benches
	@bench/feedback.py

# The reference of settings and the sample file come from the table of settings.
docs: $(B)/tests/unit/settings/test_settings_file
	@SENDGUARD_WRITE_DOCS=1 $<

# From the help of the programs and docs/settings.md.
MAN_PAGES := sendguard.1 sendguard.conf.5 $(SERVICES:%=%.8)
man: $(MAN_PAGES:%=$(B)/man/%)
$(B)/man/%: tools/man docs/settings.md $(addprefix $(B)/,sendguard $(SERVICES))
	@mkdir -p $(@D)
	$(call say,MAN,$@)
	$(Q)tools/man $* $(B) > $@.new
	$(Q)mv $@.new $@

PREFIX ?= /usr/local
SHARE = $(DESTDIR)$(PREFIX)/share
# systemd looks for tmpfiles.d below these two prefixes, and in /etc.
TMPFILES = $(DESTDIR)$(if $(filter /usr /usr/local,$(PREFIX)),$(PREFIX)/lib,/etc)/tmpfiles.d
UNITS ?= /etc/systemd/system
# Everything an operator needs; the user, the settings file and the state directory only if they
# are not there. With DESTDIR the user is not made, and the settings file belongs to who packs it.
install: programs man
	for program in $(SERVICES); do install -D -m 755 $(B)/$$program \
		$(DESTDIR)$(PREFIX)/sbin/$$program || exit 1; done
	install -D -m 755 $(B)/sendguard $(DESTDIR)$(PREFIX)/bin/sendguard
	install -D -m 644 contrib/bash-completion/sendguard \
		$(SHARE)/bash-completion/completions/sendguard
	for page in $(MAN_PAGES); do install -D -m 644 $(B)/man/$$page \
		$(SHARE)/man/man$${page##*.}/$$page || exit 1; done
	install -D -m 644 contrib/sendguard.tmpfiles $(TMPFILES)/sendguard.conf
	rm -rf $(SHARE)/doc/sendguard $(SHARE)/sendguard
	mkdir -p $(DESTDIR)$(UNITS) $(SHARE)/doc/sendguard $(SHARE)/sendguard/roundcube
	for unit in contrib/*.service contrib/*.socket contrib/*.target; do sed 's|/usr/local|$(PREFIX)|g' $$unit \
		> $(DESTDIR)$(UNITS)/$${unit##*/} || exit 1; done
	cp -r README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE nginx.conf.example docs templates \
		$(SHARE)/doc/sendguard/
	cp -r webmail/roundcube/sendguard $(SHARE)/sendguard/roundcube/
	mkdir $(SHARE)/sendguard/nginx
	for part in http locations; do sed -n "/# {$$part/,/# }$$part/{/# [{}]$$part/!{s/^    //p;/^$$/p}}" nginx.conf.example \
		> $(SHARE)/sendguard/nginx/$$part.conf || exit 1; done
	cp -r contrib/dovecot $(SHARE)/sendguard/
	cp -r contrib/panels contrib/profiles contrib/webmail $(SHARE)/sendguard/
	[ -n "$(DESTDIR)" ] || id sendguard >/dev/null 2>&1 || \
		useradd --system --user-group --home-dir /var/lib/sendguard --shell /usr/sbin/nologin sendguard
	[ -e $(DESTDIR)/etc/sendguard/sendguard.conf ] || \
		install -D -m 640 $(if $(DESTDIR),,-g sendguard) sendguard.conf.example \
		$(DESTDIR)/etc/sendguard/sendguard.conf
	[ -n "$(DESTDIR)" ] || [ -e /var/lib/sendguard ] || \
		install -d -m 700 -o sendguard -g sendguard /var/lib/sendguard

# What an operator enables.
ENABLED := $(filter-out sendguard-postqueue,$(SERVICES)) sendguard-postqueue.socket

# Removes what `install` put there, and no directory that others use too.
uninstall:
	@[ -n "$(DESTDIR)" ] || ! systemctl is-active -q $(ENABLED) 2>/dev/null || { \
		echo 'uninstall: expected stopped services: systemctl disable --now $(ENABLED)' >&2; exit 1; }
	rm -f $(SERVICES:%=$(DESTDIR)$(PREFIX)/sbin/%) $(DESTDIR)$(PREFIX)/bin/sendguard
	rm -f $(patsubst contrib/%,$(DESTDIR)$(UNITS)/%,$(wildcard contrib/*.service contrib/*.socket contrib/*.target)) $(TMPFILES)/sendguard.conf
	rm -f $(SHARE)/bash-completion/completions/sendguard $(MAN_PAGES:%=$(SHARE)/man/man?/%)
	rm -rf $(SHARE)/doc/sendguard $(SHARE)/sendguard
	@for left in $(DESTDIR)/etc/sendguard $(DESTDIR)/var/lib/sendguard; do \
		[ ! -e $$left ] || echo "left: $$left; remove it with: rm -r $$left"; done
	@[ -n "$(DESTDIR)" ] || ! id sendguard >/dev/null 2>&1 || \
		echo 'left: the user sendguard; remove it with: userdel sendguard'

deb: deps-deb
	@tools/deb $(VERSION)

clean:
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
