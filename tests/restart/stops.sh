#!/usr/bin/env bash
# A run stopped by USR1 (to mpirun, which forwards it, and to one rank), by TERM to a rank,
# by the clock and by DIR/stop ends with exit code 3, says how to go on, and, started again
# and again, ends with the tables of one that was left alone.
. "$(dirname "$0")/lib.sh"
need_hooks

# Trainings of a second or two, and a selection of 360 steps.
make_data set data.h5 1 700 200
options=(--data data.h5 --hidden 256 --initial 300 --batch 90 --oversample 3 --rounds 1
    --epochs 600 --train-accuracy 2 --learning-rate 0.0003 --train-batch 300
    --micro-batch 150 --checkpoint-every 0)
plain=(run --run whole "${options[@]}")
launch 2 "${plain[@]}"
expect_rc 0 "the whole run"
run=(run --run cut "${options[@]}")

# Start, and wait until ranks have left MPI's start behind and are at work.
go() { # what the log says then, options...
    start 2 "${run[@]}" "${@:2}"
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
pids=($(rank_pids))
kill -USR1 "${pids[1]}"
await_job
expect_stop signal
[[ $(position cut) == "training round 0,"* ]] || die "stopped at $(position cut)"
[ "${first##*,}" -lt "$(position cut | cut -d, -f 2)" ] || die "no progress since $first"
ok "by USR1 to a rank"

go " resume "
pids=($(rank_pids))
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
launch 2 "${run[@]}" --max-time 0.001
expect_stop "time limit"
expect_position cut "training round 0,$((${before##*,} + 1))"
ok "by the clock"

# The same inside the selection.
FMAL_KILL_AT=select-step:13 launch 2 "${run[@]}" --checkpoint-steps 5
expect_rc 137 "killed in the selection"
launch 3 "${run[@]}" --max-time 0.001
expect_stop "time limit"
expect_position cut "picking the batch of round 1,11 added, 0 removed"
touch cut/stop
launch 1 "${run[@]}"
expect_stop "stop file"
expect_position cut "picking the batch of round 1,12 added, 0 removed"
go " resume " --checkpoint-steps 1 # a checkpoint a step: time for a signal
pids=($(rank_pids))
kill -USR1 "${pids[1]}"
await_job
expect_stop signal
[[ $(position cut) == "picking the batch of round 1,"* ]] || die "stopped at $(position cut)"
[ "$(position cut)" != "picking the batch of round 1,12 added, 0 removed" ] ||
    die "no progress"
ok "in a selection, by each of them"

launch 2 "${run[@]}"
expect_rc 0 "the last start"
same_tables whole cut
sound_events cut 1
ok "and ends as one that was left alone"
