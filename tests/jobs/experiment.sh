#!/usr/bin/env bash
# jobs/experiment.sh at a tiny size: interrupted, it goes on and ends with the same; what it
# refuses; and tools/experiment_tables, whose numbers awk computes from the runs once more.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/../restart/lib.sh"
# shellcheck source=tests/jobs/batches.sh
. "$(dirname "$0")/batches.sh"

if ! command -v python3 >/dev/null; then
    echo "skipped: python3 is not installed"
    exit 77
fi
unset SLURM_JOB_ID SLURM_JOB_END_TIME SLURM_HINT FMAL_LAUNCH FMAL_TASKS FMAL_FASHION_MNIST
export FMAL_RANKS=2 FMAL_STRATEGIES="random bait" FMAL_SEEDS="1 2 3"
tables=$FMAL_SOURCE/tools/experiment_tables

# Class 1 has 10 images more than the 30 of the others, fewer than are asked for, too.
make_batches batches
for ((i = 0; i < 10; i++)); do
    dd if=batches/data_batch_1.bin bs=3073 skip=$((10 * i + 1)) count=1 status=none
done >batches/data_batch_3.bin
export CIFAR10=$dir/batches

tiny=(--model mlp --hidden 4 --augment none --initial 9 --batch 5 --rounds 2 --epochs 4
    --train-batch 8 --micro-batch 4)

experiment() { # RUNS options...
    rc=0
    FMAL_RUNS=$1 timeout "$limit" bash "$FMAL_SOURCE/jobs/experiment.sh" "${tiny[@]}" "${@:2}" \
        >out 2>log || rc=$?
}

# ---- Runs ----

experiment whole --help
expect_rc 0 "--help"
grep -q '^Six strategies on two tasks' out || die "--help prints no usage"
[ ! -e whole ] || die "--help starts the experiment"
ok "usage"

# One rank says what is refused, also where an allocation has more.
export FMAL_TASKS=cifar4
SLURM_NTASKS=2 experiment whole
expect_rc 0 "the experiment"
said "class 1 has 40 images, not 5000"
said "0 of 6 runs are finished"
said "6 of 6 runs are finished"
for strategy in random bait; do
    for seed in 1 2 3; do
        [ "$(wc -l <"whole/cifar4-$strategy-$seed/metrics.csv")" -eq 4 ] || die "$strategy-$seed has not three rounds"
    done
done
cut -d, -f4,5 whole/cifar4-bait-1/classes.csv | sed -n 3p | grep -q '^40,' || die "class 1 is not 40 of the pool"
ok "all runs, seed by seed"

# A checkpoint after each epoch is the brake that leaves time for a signal.
FMAL_RUNS="cut" env --default-signal=INT bash "$FMAL_SOURCE/jobs/experiment.sh" "${tiny[@]}" \
    --checkpoint-every 0.000001 >out 2>log &
job=$!
children+=("$job")
await "second run" test -e cut/cifar4-bait-1/checkpoint.h5
kill -TERM "$job"
await_job
expect_rc 3 "TERM"
said "1 of 6 runs are finished"
said "stopped; the same command goes on"
[ ! -e cut/cifar4-random-2 ] || die "goes on after TERM"
cp -r cut/cifar4-random-1 first
experiment cut
expect_rc 0 "the same again"
grep -qF "resume" cut/cifar4-bait-1.log || die "the second run begins anew"
for strategy in random bait; do
    for seed in 1 2 3; do
        same_tables "whole/cifar4-$strategy-$seed" "cut/cifar4-$strategy-$seed"
    done
done
cmp first/events.jsonl cut/cifar4-random-1/events.jsonl || die "a finished run is done again"
ok "interrupted and gone on with"

# ---- What is refused ----

experiment cut --epochs 5
expect_rc 1 "another setting"
said "epochs was 4, now 5"
said "cut/cifar4-random-1 failed"
FMAL_STRATEGIES="random bate" experiment bad
expect_rc 2 "a strategy that is not known"
said "cifar4 with bate is refused"
FMAL_TASKS=mnist experiment bad
expect_rc 2 "a task that is not known"
said "'mnist' is no task"
FMAL_TASKS=fmnist FMAL_FASHION_MNIST=nowhere experiment bad
expect_rc 2 "no Fashion-MNIST"
said "set FMAL_FASHION_MNIST"
[ -z "$(find bad -name '*.csv')" ] || die "a run has begun all the same"
ok "refusals"

mkdir balanced
make_data set balanced/fmnist.h5 1 90 50
FMAL_TASKS=fmnist FMAL_STRATEGIES=random FMAL_SEEDS=1 experiment balanced --pool-counts 0:20,1:20,2:20
expect_rc 0 "the other task"
for task in cifar4 fmnist; do
    "$FMAL" run --config "$FMAL_SOURCE/jobs/experiment_$task.ini" --data data.h5 --run none \
        --print-config >out 2>log || die "experiment_$task.ini is refused"
done
ok "the balanced task"

# ---- Tables ----

# Mean and standard deviation of numbers, as the tables write them.
moments() {
    awk '{ x[NR] = $1; sum += $1 }
        END {
            for (i = 1; i <= NR; i++) square += (x[i] - sum / NR) ^ 2
            printf "%.3f +- %.3f", sum / NR, sqrt(square / (NR - 1))
        }'
}

accuracies() { # STRATEGY LABELS: over seeds
    awk -F, -v labels="$2" '$2 == labels { print $6 }' whole/cifar4-"$1"-*/metrics.csv
}

later() { # STRATEGY SEED: mean of the rounds after the first
    awk -F, 'NR > 2 { sum += $6 } END { print sum / (NR - 2) }' "whole/cifar4-$1-$2/metrics.csv"
}

have() { # line of out
    grep -qxF -- "$1" out || die "no line '$1' in: $(cat out)"
}

head -n 1 whole/cifar4-bait-1/metrics.csv | grep -q '^round,labelled,[^,]*,[^,]*,[^,]*,test_accuracy,' ||
    die "metrics.csv has other columns than this test knows"
"$tables" whole >out
have "| labels | random | bait |"
for labels in 9 14 19; do
    have "| $labels | $(accuracies random $labels | moments) | $(accuracies bait $labels | moments) |"
done
means() { for seed in 1 2 3; do later "$1" $seed; done; }
have "| mean but the first | $(means random | moments) | $(means bait | moments) |"
lead=$(paste <(means bait) <(means random) | awk '{ print $1 - $2 }' | moments)
[ "${lead#-}" != "$lead" ] || lead=+$lead
have "| lead over random |  | $lead |"
ok "accuracies by labels"

line='| bait |'
for class in 0 1 2 3; do
    for seed in 1 2 3; do # without names, which may hold commas
        tail -n 4 whole/cifar4-bait-$seed/classes.csv | sed -n "$((class + 1))p" | awk -F, '{ print $NF, $(NF - 2) }'
    done >rows
    line+=" $(moments <rows) of $(awk '{ sum += $2 } END { printf "%.0f", sum / NR }' rows) |"
done
have "$line"
"$tables" balanced >out
! grep -q "by class" out || die "classes of a balanced pool are listed"
ok "accuracies by class"

# The third seed of bait has one round less.
mkdir part
for run in whole/cifar4-*-[123]; do
    mkdir "part/${run#*/}"
    cp "$run"/*.csv "part/${run#*/}"
done
sed -i '$d' part/cifar4-bait-3/metrics.csv
"$tables" part >out
have "| 19 | $(accuracies random 19 | moments) | $(accuracies bait 19 | head -n 2 | moments) (2) |"
ok "runs that are not finished"

refuse_tables() { # words of the message, words of the call
    rc=0
    "$tables" "${@:2}" >out 2>log || rc=$?
    expect_rc 1 "tables of ${*:2}"
    said "$1"
}
sed -i 's/test_accuracy/accuracy/' part/cifar4-bait-3/metrics.csv
refuse_tables "cifar4-bait-3/metrics.csv: no column 'test_accuracy'" part
sed -i -e '1s/accuracy/&/' -e 's/,accuracy/,test_accuracy/' -e '2s/0\.[0-9]*/7/3' part/cifar4-bait-3/metrics.csv
refuse_tables "part/cifar4-bait-3/metrics.csv: line 2" part
mkdir empty
refuse_tables "empty: no run" empty
printf 'before\n<!-- begin other -->\n<!-- end other -->\n' >empty/results.md
refuse_tables "no lines '<!-- begin cifar4 -->'" whole empty
[ "$(wc -l <empty/results.md)" -eq 3 ] || die "results.md has changed"
ok "damaged tables"

if command -v gnuplot >/dev/null; then
    mkdir page
    cp "$FMAL_SOURCE/docs/results.md" page
    "$tables" whole >out
    "$tables" whole page
    grep -qxF "$line" page/results.md || die "results.md has no table of classes"
    grep -q '</svg>' page/experiment_cifar4.svg || die "no picture"
    cp page/results.md once.md
    "$tables" whole page
    cmp once.md page/results.md || die "tables are put in twice"
    ok "tables and pictures in docs/results.md"
fi
