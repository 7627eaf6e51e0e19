# Functions for a private mail stack: processes, ports, waiting. Sourced by
# tools/stack/stack. Everything lives below $dir; every program that is started
# gets a session of its own, whose number is kept in $dir/pids/NAME, so that it
# and its children can be found and ended without touching anybody else's.
# shellcheck shell=bash
# shellcheck disable=SC2154 # dir is set by who sources this

say() { printf '%s\n' "$*"; }
complain() { printf '%s\n' "$*" >&2; }

# Ports on which something listens on this machine, one a line.
ports_in_use() {
    local hex
    awk '$4 == "0A" { sub(/.*:/, "", $2); print $2 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null |
        sort -u | while read -r hex; do printf '%d\n' "0x$hex"; done
}

# free_ports COUNT: as many ports that nobody listens on, below those that the
# kernel hands out by itself. Begins at a random place, so that two stacks that
# start at once hardly ever meet.
free_ports() {
    local wanted=$1 used port found=0
    used=" $(ports_in_use | tr '\n' ' ')"
    port=$((20000 + RANDOM % 11000))
    while [ "$found" -lt "$wanted" ]; do
        case $used in
        *" $port "*) ;;
        *) say "$port"; found=$((found + 1)) ;;
        esac
        port=$((port + 1))
    done
}

port_is_free() { ! ports_in_use | grep -qx "$1"; }

# started_at PID: a number that tells this process from a later one of the same id.
started_at() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    # After the name, which may hold anything: state is field 3, the start field 22.
    printf '%s\n' "${stat##*) }" | cut -d ' ' -f 20
}

# The processes of a service: all of its session that still run. None when the
# id by now names a stranger: another start time, or another boot.
session_pids() {
    local leader started boot now stat
    read -r leader started boot 2>/dev/null <"$dir/pids/$1" || return 0
    [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] || return 0
    now=$(started_at "$leader")
    [ -z "$now" ] || [ "$now" = "$started" ] || return 0
    for stat in /proc/[0-9]*/stat; do
        in_session "$leader" "$stat" || continue
        stat=${stat%/stat}
        printf '%s\n' "${stat#/proc/}"
    done
}

# in_session LEADER STAT-FILE; one that has ended and waits to be noticed is not.
in_session() {
    local stat state parent group session rest
    { read -r stat <"$2"; } 2>/dev/null || return 1
    # shellcheck disable=SC2034 # the fields between
    read -r state parent group session rest <<<"${stat##*) }"
    [ "$session" = "$1" ] && [ "$state" != Z ]
}

is_up() { [ -n "$(session_pids "$1")" ]; }

# launch NAME COMMAND...: in a session of its own, output to its log.
launch() {
    local name=$1
    shift
    setsid "$@" >>"$dir/log/$name.log" 2>&1 </dev/null &
    printf '%s %s %s\n' "$!" "$(started_at "$!")" "$(cat /proc/sys/kernel/random/boot_id)" >"$dir/pids/$name"
}

# wait_for NAME SECONDS COMMAND...: until the command succeeds. When the program
# ends or the time is over, says so with the end of its log, and fails.
wait_for() {
    local name=$1 deadline=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ! is_up "$name"; then
            complain "$name did not start; the end of its log:"
            show_log "$name"
            return 1
        fi
        if [ "$SECONDS" -ge "$deadline" ]; then
            complain "$name does not answer; the end of its log:"
            show_log "$name"
            return 1
        fi
        sleep 0.03
    done
}

show_log() {
    local file
    for file in "$dir/log/$1.log" "$dir/log/$1".*.log; do
        [ -s "$file" ] && tail -n 15 "$file" | sed 's/^/    /' >&2
    done
    return 0
}

# A greeting on a port: enough for IMAP and SMTP. The subshell closes it again.
greets() { (exec 3<>"/dev/tcp/127.0.0.1/$1" && read -r -t 2 line <&3 && [ -n "$line" ]) 2>/dev/null; }

# Something takes connections on a port, and waits for what comes.
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# end_services NAME...: asks all of them to end, waits for all, insists.
end_services() {
    local name
    for name in "$@"; do signal_session TERM "$name"; done
    for name in "$@"; do
        if ! ended_within 8 "$name"; then
            complain "$name does not end by itself"
            signal_session KILL "$name"
            ended_within 5 "$name" || complain "$name cannot be ended: $(session_pids "$name" | tr '\n' ' ')"
        fi
        rm -f "$dir/pids/$name"
    done
}

ended_within() {
    local deadline=$((SECONDS + $1))
    while is_up "$2"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.03
    done
}

signal_session() {
    local pid
    for pid in $(session_pids "$2"); do kill "-$1" "$pid" 2>/dev/null || true; done
}
