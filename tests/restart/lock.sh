#!/usr/bin/env bash
# Two runs in one directory at once: the second is refused. A lock does not outlive its
# process, however that ends.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"
need_hooks

make_data set data.h5 1 700 200
finish 1 whole

# Holds its directory until it is killed.
start 2 run --run one "${small[@]}" --epochs 10000000 --checkpoint-every 0.2
await "a checkpoint of a training under way" in_training one
find_ranks 2
grep -qx "process ${pids[0]} on .*" one/lock || die "one/lock names $(cat one/lock)"
mv log log1

for ranks in 1 2; do
    run $ranks one
    expect_rc 1 "a second run on $ranks ranks"
    said "fmal: one: a run is under way in it (process ${pids[0]} on "
    said "wait for it, or touch one/stop"
done
kill -0 "$job" || die "the second run has ended the first"
finish 1 elsewhere # a lock is one directory's
ok "a second run is refused"

kill -KILL "${pids[0]}"
await_job
expect_rc 137 "the first run, killed"
[ -e one/lock ] || die "the file one/lock is gone"
launch 2 run --run one "${small[@]}" --epochs 10000000 --checkpoint-every 0.2 --max-time 0.001
expect_rc 3 "a start after the kill"
said " resume round=0 "
ok "a killed run holds nothing"
