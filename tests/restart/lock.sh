#!/usr/bin/env bash
# Two runs in one directory, or two selections for one file, at once: the second is refused.
# A lock does not outlive its process, however that ends.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"
need_hooks

make_data set data.h5 1 700 200
finish 1 whole

# Holds its directory until it is killed.
start 2 run --run one "${small[@]}" --epochs 1000000 --checkpoint-every 0.2
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
launch 2 run --run one "${small[@]}" --epochs 1000000 --checkpoint-every 0.2 --max-time 0.001
expect_rc 3 "a start after the kill"
said " resume round=0 "
ok "a killed run holds nothing"

# ---- Selections ----

make_data pool pool.h5 1 2000 6 3
search=(select --pool pool.h5 --batch 400 --lambda 0.001 --progress never)
choose() { # ranks OUTPUT options...
    launch "$1" "${search[@]}" -o "$2" "${@:3}"
}
choose 1 whole.h5
expect_rc 0 "select"

start 2 "${search[@]}" -o one.h5 --checkpoint-steps 1
await "a first save" test -e one.h5.part
find_ranks 2
grep -qx "process ${pids[0]} on .*" one.h5.lock || die "one.h5.lock names $(cat one.h5.lock)"
mv log log1
kill -STOP "${pids[@]}"
for ranks in 1 2; do
    for option in --json --force; do
        choose $ranks ./one.h5 $option
        expect_rc 1 "a second selection on $ranks ranks, $option"
        said "fmal: ./one.h5: a selection is under way for it (process ${pids[0]} on "
        said "wait for it, or touch ./one.h5.stop"
    done
done
choose 1 one.h5 --dry-run
expect_rc 0 "a plan meanwhile"
choose 1 other.h5
expect_rc 0 "a selection for another file"
kill -CONT "${pids[@]}"
ok "a second selection is refused"

kill -KILL "${pids[0]}"
await_job
expect_rc 137 "the first selection, killed"
[ -e one.h5.lock ] || die "a killed selection has removed one.h5.lock"
choose 2 one.h5
expect_rc 0 "a start after the kill"
said "resume file=one.h5.part"
cmp whole.csv one.csv || die "picks differ"
set -- one.*
[ "$*" = "one.csv one.h5" ] || die "left over: $*"
ok "a killed selection holds nothing"
