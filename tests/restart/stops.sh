#!/usr/bin/env bash
# A run stopped by USR1 (to mpirun, which forwards it, and to one rank), by TERM to a rank,
# by the clock and by DIR/stop ends with exit code 3, says how to go on, and, started again
# and again, ends with the tables of one that was left alone.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"
need_hooks

# 5000 epochs and 450 steps of next to no work. A checkpoint after each of them is the
# brake that leaves time for signals.
make_data set data.h5 1 700 200
small+=(--batch 90 --rounds 1 --epochs 5000 --train-batch 64 --learning-rate 0.001
    --checkpoint-every 0)
finish 1 whole

# Start, and wait until ranks have left MPI's start behind and are at work.
go() { # what the log says then
    start 2 run --run cut "${small[@]}" --checkpoint-every 0.000001
    await "'$1' in the log" log_has "$1"
    sleep 0.1
}

expect_stop() { # reason
    expect_rc 3 "stopped by $1"
    said "stopped by $1 in round"
    said "the same command goes on from cut"
}

go " plan memory"
kill -USR1 "$job"
await_job
expect_stop signal
[[ $(position cut) == "training round 0,"* ]] || die "stopped at $(position cut)"
first=$(position cut)
ok "by USR1 to mpirun"

go " resume "
find_ranks 2
kill -USR1 "${pids[1]}"
await_job
expect_stop signal
[[ $(position cut) == "training round 0,"* ]] || die "stopped at $(position cut)"
[ "${first##*,}" -lt "$(position cut | cut -d, -f 2)" ] || die "no progress since $first"
ok "by USR1 to a rank"

go " resume "
find_ranks 2
kill -TERM "${pids[0]}"
await_job
expect_stop signal
ok "by TERM to a rank"

go " resume "
touch cut/stop
await_job
expect_stop "stop file"
[ ! -e cut/stop ] || die "the stop file stays"
ok "by DIR/stop"

# One epoch, or one step, is what is done before the time is up.
before=$(position cut)
run 2 cut --max-time 0.001
expect_stop "time limit"
expect_position cut "training round 0,$((${before##*,} + 1))"
ok "by the clock"

# The same inside the selection.
kill_at select-step:13 1 cut --checkpoint-steps 5
run 3 cut --max-time 0.001
expect_stop "time limit"
expect_position cut "picking the batch of round 1,11 added, 0 removed"
touch cut/stop
run 1 cut
expect_stop "stop file"
expect_position cut "picking the batch of round 1,12 added, 0 removed"
go " resume "
find_ranks 2
kill -USR1 "${pids[1]}"
await_job
expect_stop signal
[[ $(position cut) == "picking the batch of round 1,"* ]] || die "stopped at $(position cut)"
[ "$(position cut)" != "picking the batch of round 1,12 added, 0 removed" ] ||
    die "no progress"
ok "in a selection, by each of them"

finish 1 cut
same_end whole cut
sound_events cut 1
ok "and ends as one that was left alone"
