#!/usr/bin/env bash
# A directory of another run is refused by name of what differs, with both values, and is
# not touched; options without influence on results may change from start to start.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"
need_hooks

make_data set data.h5 1 700 200
make_data set other.h5 2 700 200
make_data set fewer.h5 1 699 200
finish 1 whole
kill_at select-step:13 2 cut --checkpoint-steps 5
files_of cut >before

refused() { # what text options...
    run "${ranks:-1}" cut "${@:3}"
    expect_rc 1 "$1"
    said "fmal: cut/checkpoint.h5: belongs to $2"
    [ "$(grep -c '^fmal: ' log)" = 1 ] || die "$1: more than one message"
    files_of cut | diff before - || die "$1: the directory has changed"
    ok "refused: $1"
}

ranks=3 refused hidden "another configuration: hidden was 8, now 9;" --hidden 9
refused initial "another configuration: initial was 20, now 21;" --initial 21
refused batch "another configuration: batch was 10, now 9;" --batch 9
refused rounds "another configuration: rounds was 2, now 3;" --rounds 3
refused seed "another configuration: seed was 1, now 2;" --seed 2
refused lambda "another configuration: lambda was 0.0001, now 0.5;" --lambda 0.5
refused grid "another configuration: grid was auto, now 1x1;" --grid 1x1
refused optimizer "another configuration: optimizer was adam, now sgd;" --optimizer sgd
refused epochs "another configuration: epochs was 30, now 31;" --epochs 31
refused warm "another configuration: warm was false, now true;" --warm
ranks=2 refused "other data" "other data: the checksum was " --data other.h5
refused "fewer data" "other data: the checksum was " --data fewer.h5

# The data may lie elsewhere; and ranks, times and words are nobody's business.
mkdir elsewhere
mv data.h5 elsewhere/moved.h5
kill_at select-step:9 3 cut --data elsewhere/moved.h5 --checkpoint-steps 3 \
    --checkpoint-every 1000 --max-time 1:00 --log-level warn --quiet --progress never
expect_position cut "picking the batch of round 1,16 added, 0 removed"
finish 1 cut --data elsewhere/moved.h5 --checkpoint-every 0.001 --log-level debug
said "added=16 removed=0"
same_end whole cut
ok "accepted: what has no influence on results"
