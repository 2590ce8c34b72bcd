#!/usr/bin/env bash
# A finished run that is started again says so, exits with 0 and changes nothing; rows that
# were appended after the checkpoint are cut.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"
need_hooks

make_data set data.h5 1 700 200
finish 2 whole
files_of whole >before
[ "$(wc -l <before)" -ge 5 ] || die "a run leaves fewer than 5 files"
cp out first
for ranks in 1 3; do
    finish "$ranks" whole
    said "this run was finished before"
    files_of whole | diff before - || die "a finished run has changed"
    cmp first out || die "another table is printed"
done
ok "started again: nothing changes"

litter() { # DIR: what a crash may leave behind in the tables
    echo "2,0,1,1,upper" >>"$1/picks.csv"
    printf '9,99,' >>"$1/metrics.csv"
    printf '{"event":"round","time":1.0,"round":0}\n{"event":"pi' >>"$1/events.jsonl"
}

litter whole
finish 1 whole
files_of whole | diff before - || die "rows stay in a finished run"
ok "rows are cut from a finished run"

# A pick and a round whose checkpoint was never written are in the files, too.
kill_at round-end:2:0 2 cut --checkpoint-every 0
grep -q '"event":"round".*"round":1,' cut/events.jsonl || die "round 1 is not written"
[ "$(wc -l <cut/metrics.csv)" = 3 ] || die "round 1 is not in metrics.csv"
expect_position cut "training round 1"
litter cut
kill_at train-epoch:3 1 cut
[ "$(wc -l <cut/metrics.csv)" = 2 ] || die "round 1 is still in metrics.csv"
[ "$(wc -l <cut/picks.csv)" = 31 ] || die "other picks than the checkpoint's"
finish 2 cut
same_end whole cut
sound_events cut 2
ok "and from a run that was killed"
