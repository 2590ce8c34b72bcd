#!/usr/bin/env bash
# A full disk: said, and nothing lost. Files may not grow past a limit here, and where a small
# file system can be mounted, one is filled.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

make_pool pool.h5 --n 600
make_pool data.h5 --n 600 --group /train --drop logits --drop labelled --add labels

# Under the limit MPI must do without large files of its own.
export PMIX_MCA_gds=hash OMPI_MCA_btl=self,tcp OMPI_MCA_btl_tcp_if_include=lo

# state RANKS: names and content of what is there
state() { (cd "$work/np$1/files" && find . -type f | sort | xargs -r md5sum); }

# ---- select -----------------------------------------------------------------------------

pool=(select --quiet --pool "$dir/pool.h5" --batch 5)
file_kb=4
refuse "select" 1 "picks.h5.new: cannot write" "${pool[@]}"
settle
file_kb=
accept "select without the limit" "${pool[@]}"
for np in $on_ranks; do
    state "$np" >"$dir/before$np"
done
file_kb=4
everywhere start "${pool[@]}" --batch 6 --force
expect_refusal "select over old picks" 1 "File too large"
for np in $on_ranks; do
    same "np $np: old picks and CSV are as they were" "$(state "$np")" "$(cat "$dir/before$np")"
done
everywhere fresh "${pool[@]}" --checkpoint-steps 1
expect_refusal "select, at a checkpoint" 1 "picks.h5.part: cannot write"
same "np 1: not even a checkpoint" "$(state 1)" ""
same "np 4: not even a checkpoint" "$(state 4)" ""

# ---- import -----------------------------------------------------------------------------

file_kb=
idx_images 40 >"$dir/images"
idx_labels 40 >"$dir/labels"
import=(import --quiet --format idx --images "$dir/images" --labels "$dir/labels" -o data.h5)
file_kb=1
refuse "import" 1 "data.h5.new: cannot write: File too large" "${import[@]}"
settle
file_kb=
accept "import without the limit" "${import[@]}"
for np in $on_ranks; do
    state "$np" >"$dir/before$np"
done
file_kb=1
everywhere start "${import[@]}" --force
expect_refusal "import over an old data set" 1 "data.h5.new: cannot write: File too large"
for np in $on_ranks; do
    same "np $np: the old data set is as it was" "$(state "$np")" "$(cat "$dir/before$np")"
done

# ---- run --------------------------------------------------------------------------------

# Checkpoints grow from round to round, so that a limit just below the last one's size is met
# in the middle of a run.
run=(run --quiet --data "$dir/data.h5" --run out --strategy random --initial 6 --batch 150
    --rounds 3 --hidden 8 --epochs 2 --train-batch 128)
file_kb=
accept "run without the limit" "${run[@]}"
cp "$work/np1/files/out/metrics.csv" "$work/np1/files/out/picks.csv" "$dir"
size=$(stat -c %s "$work/np1/files/out/checkpoint.h5")
file_kb=8 # more than the first event, less than any checkpoint
everywhere fresh "${run[@]}"
expect_refusal "run, from its start" 1 "out/checkpoint.next.h5: cannot write"
for np in $on_ranks; do
    check "np $np: no checkpoint" test ! -e "$work/np$np/files/out/checkpoint.h5"
done
for file_kb in $((size / 1024 - 1)) $((size * 4 / 5 / 1024)); do
    everywhere fresh "${run[@]}"
    expect_refusal "run, files up to $file_kb KiB" 1 "out/checkpoint.next.h5: cannot write"
    for np in $on_ranks; do
        check "np $np: the last checkpoint is whole" \
            "$FMAL" inspect "$work/np$np/files/out"
    done
    file_kb=
    everywhere start "${run[@]}"
    expect_success "run, gone on with"
    for np in $on_ranks; do
        for file in metrics.csv picks.csv; do
            check "np $np: $file as if nothing had been" \
                cmp "$work/np$np/files/out/$file" "$dir/$file"
        done
    done
done

# ---- A file system that is full ---------------------------------------------------------

mkdir "$dir/small"
if mount -t tmpfs -o size=64k tmpfs "$dir/small" 2>"$dir/mount.log"; then
    trap 'umount "$dir/small"; clean_up' EXIT
    pool+=(-o "$dir/small/picks.h5")
    on_ranks=4
    accept "picks on a small disk" "${pool[@]}"
    before=$(cat "$dir"/small/picks.* | md5sum)
    head -c 100000 /dev/zero 2>/dev/null >"$dir/small/ballast" || true
    everywhere fresh "${pool[@]}" --force --batch 6
    expect_refusal "picks on a full disk" 1 "No space left on device"
    same "old picks and CSV are as they were" "$(cat "$dir"/small/picks.* | md5sum)" "$before"
    same "nothing else is there" "$(echo "$dir"/small/* | sed "s|$dir/small/||g")" \
        "ballast picks.csv picks.h5"
    rm "$dir/small/ballast"
    everywhere fresh "${pool[@]}" --force --batch 6
    expect_success "picks when there is room again"

    # Here the disk is full in the middle of a line.
    mkdir -p "$work/np4/files/out"
    umount "$dir/small"
    mount -t tmpfs -o size=4k tmpfs "$dir/small"
    touch "$dir/small/events"
    ln -s "$dir/small/events" "$work/np4/files/out/events.jsonl"
    everywhere start run --quiet --data "$dir/data.h5" --run out --strategy random --initial 6 \
        --batch 1 --rounds 40 --hidden 8 --epochs 2 --train-batch 128
    expect_refusal "events on a full disk" 1 "events.jsonl: cannot write: No space left on device"
else
    echo "# a full file system: $(cat "$dir/mount.log")"
fi
finish
