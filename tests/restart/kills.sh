#!/usr/bin/env bash
# A run killed at every named point, and started again each time, gives the tables of one
# that was never killed. The one argument is the number of ranks.
#
# The checkpoint is looked at after each kill: so every leg goes on where the last one
# got to, in the middle of a training or a selection, and every point is passed.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"
need_hooks
ranks=$1
last=$((ranks - 1))
epochs=(--checkpoint-every 0.000001)
steps=(--checkpoint-every 0 --checkpoint-steps 5)

make_data set data.h5 1 700 200
finish "$ranks" whole

# The first checkpoint: nothing is there yet, and the next start is a fresh one.
kill_at file-begin:1 "$ranks" cut
[ ! -e cut/checkpoint.h5 ] || die "a checkpoint before the first was written"
ok "while writing the first checkpoint"

kill_at train-epoch:1 "$ranks" cut "${steps[@]}"
expect_position cut "training round 0"
ok "after the first checkpoint"

kill_at "train-epoch:9:$last" "$ranks" cut "${epochs[@]}"
expect_position cut "training round 0,8"
ok "between epochs"

kill_at "train-step:8:$last" "$ranks" cut "${epochs[@]}"
expect_position cut "training round 0,10"
ok "inside an epoch"

kill_at "select-step:13:$last" "$ranks" cut "${steps[@]}"
expect_position cut "picking the batch of round 1,10 added, 0 removed"
ok "inside a selection"

# Another number of ranks goes on with it.
kill_at checkpoint-begin:3:0 $((ranks % 3 + 1)) cut "${steps[@]}"
expect_position cut "picking the batch of round 1,20 added, 0 removed"
ok "before a checkpoint"

kill_at "checkpoint-end:3:$last" "$ranks" cut "${steps[@]}"
expect_position cut "picking the batch of round 1,30 added, 5 removed"
ok "after a checkpoint"

kill_at file-middle:5 "$ranks" cut "${steps[@]}"
expect_position cut "picking the batch of round 1,30 added, 10 removed"
compgen -G 'cut/checkpoint*.new' >/dev/null || die "no file was left half written"
ok "while writing a checkpoint"

kill_at file-written:4 "$ranks" cut "${steps[@]}"
expect_position cut "picking the batch of round 1,30 added, 10 removed"
ok "before a checkpoint has its name"

kill_at file-renamed:4 "$ranks" cut "${steps[@]}"
expect_position cut "picking the batch of round 1,30 added, 10 removed"
ok "before it takes the place of the one before"

kill_at checkpoint-kept:1 "$ranks" cut "${steps[@]}"
expect_position cut "picking the batch of round 1,30 added, 10 removed"
ok "when the one before is kept, and the new one not yet in its place"

kill_at picked:1:0 "$ranks" cut --checkpoint-every 0
expect_position cut "picking the batch of round 1,30 added, 10 removed"
ok "after a batch is picked"

kill_at round-end:1:0 "$ranks" cut --checkpoint-every 0
expect_position cut "training round 1"
ok "at the end of a round"

finish "$ranks" cut
same_end whole cut
sound_events cut 2
[ "$(cd cut && echo ./*)" = "$(cd whole && echo ./*)" ] || die "left over: $(cd cut && echo ./*)"
ok "and ends as one that was never killed"
