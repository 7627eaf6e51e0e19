# What a run of pytest says in its last line, in the words of tests/run. Sourced by tests/run and
# tests/systemd/boot.
# shellcheck shell=bash

# pytest_counts LOG STATUS: "N passed, N failed"; a STATUS that is not 0 is a failure, whatever LOG says.
pytest_counts() {
    local log=$1 status=$2 passed failed errors
    number() { tail -n 1 "$log" | grep -oE "[0-9]+ $1" | cut -d' ' -f1; }
    passed=$(number passed) failed=$(number failed) errors=$(number error)
    failed=$((${failed:-0} + ${errors:-0}))
    [ "$status" = 0 ] || [ "$failed" != 0 ] || failed=1
    echo "${passed:-0} passed, $failed failed"
}
