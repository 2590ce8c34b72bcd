#!/usr/bin/env bash
#
# Six strategies on two tasks, three seeds each: the experiment of docs/results.md.
#
#   nohup bash jobs/experiment.sh >experiment.log 2>&1 &
#   tools/experiment_tables runs/experiment
#
#   cifar4  classes 0 to 3 of CIFAR-10, 250/5000/250/250 in the pool, 15 to 575 labels, slim
#           ResNet-18 (experiment_cifar4.ini)
#   fmnist  Fashion-MNIST, balanced, 100 to 1,000 labels, LeNet (experiment_fmnist.ini)
#
# One run after the other, each by fmal run in a directory of its own, seed by seed, so that
# what is there can be compared at any time. TERM or Ctrl-C saves the run under way and ends
# with exit code 3; the same command goes on there. A finished run is not done again, and one
# of other settings is refused. From the environment:
#
#   FMAL_RUNS        where everything goes (default: runs/experiment)
#   FMAL_TASKS       default: cifar4 fmnist
#   FMAL_STRATEGIES  default: random entropy margin bait bait-binary fishermask
#   FMAL_SEEDS       default: 1 2 3
#   FMAL_RANKS       (default: one for each core) and more: env.sh
#   CIFAR10, FMAL_FASHION_MNIST  folders of the data: datasets.sh; read only if the data sets
#                    RUNS/cifar10.h5, RUNS/fmnist.h5 are not there
#
# Words after the script's name go to every fmal run; --help prints this. It takes about two
# hours on two cores, for which this was cut:
#
#   - 3 seeds, where the FisherMask paper has 5;
#   - cifar4 ends at 575 labels, not 925; a training has 60 epochs, where the paper's code goes
#     on to 0.99 of the labels (575 of them, evenly, have come to 0.94 then), and batches of 64,
#     not 500, so that they are some steps;
#   - where CIFAR-10 has fewer than 5,000 images of class 1, as two of its five batches have,
#     there are as many as there are, and the script says so;
#   - fmnist has a pool of 1,000 images a class, not 6,000: fishermask wants nine backward
#     passes for each image and round, and a Jacobian of so many rows.
set -u -o pipefail

fmal_job=experiment.sh
dir=$(dirname "$0")
# shellcheck source=jobs/env.sh
. "$dir/env.sh"
# shellcheck source=jobs/datasets.sh
. "$dir/datasets.sh"

fmal_help "$@"
runs=${FMAL_RUNS:-runs/experiment}
read -r -a tasks <<<"${FMAL_TASKS:-cifar4 fmnist}"
read -r -a strategies <<<"${FMAL_STRATEGIES:-random entropy margin bait bait-binary fishermask}"
read -r -a seeds <<<"${FMAL_SEEDS:-1 2 3}"

# ---- Settings of a run --------------------------------------------------------------------

# set_options TASK STRATEGY: sets options, all but the seed and the directory
set_options() {
    local task=$1 strategy=$2

    options=(--config "$dir/experiment_$task.ini" --strategy "$strategy" --progress never)
    case $task in
    cifar4) options+=(--data "$runs/cifar10.h5" --pool-counts "$counts") ;;
    fmnist) options+=(--data "$runs/fmnist.h5") ;;
    esac
    # The head always belongs to a mask. It is 512 of cifar4's 700,688 parameters, and 0.002
    # of these leave 889 others; of fmnist's 186,978 it is 1,280, more than 0.002 of them, and
    # 0.01 leave 589 others.
    if [ "$task-$strategy" = fmnist-fishermask ]; then
        options+=(--mask-fraction 0.01)
    fi
    options+=("${words[@]}")
}

# fit_counts: sets counts to the pool's classes, with as many samples as there are where there
# are fewer than the configuration asks for: fmal says so, and of which class.
fit_counts() {
    local said class there

    counts=$(sed -nE 's/^pool-counts *= *([^ ;]+).*/\1/p' "$dir/experiment_cifar4.ini")
    while set_options cifar4 random && ! said=$(dry_run); do
        [[ $said =~ class\ ([0-9]+)\ cannot\ keep\ ([0-9]+)\ .*ask\ for\ 1\ to\ ([0-9]+) ]] ||
            fmal_fail "cifar4 is refused: $said"
        class=${BASH_REMATCH[1]} there=${BASH_REMATCH[3]}
        fmal_say "class $class has $there images, not ${BASH_REMATCH[2]}: cifar4 takes all of them"
        counts=$(sed -E "s/(^|,)$class:[0-9]+/\1$class:$there/" <<<"$counts")
    done
}

# What fmal says to options; the exit code is whether it would run. One rank says it, without
# a launcher: so nothing may tell it of an allocation for more.
dry_run() {
    env -u SLURM_STEP_NUM_TASKS -u SLURM_NTASKS -u PMI_SIZE -u PBS_NP \
        "$fmal" run "${options[@]}" --run "$runs/none" --dry-run --quiet </dev/null 2>&1
}

# The data, and whether everything that is to be run can be.
prepare() {
    local task strategy said

    mkdir -p "$runs" || exit 1
    for task in "${tasks[@]}"; do
        case $task in
        cifar4) fmal_make_cifar10 "$runs/cifar10.h5" && fit_counts ;;
        fmnist) fmal_make_fashion_mnist "$runs/fmnist.h5" ;;
        *) fmal_fail "FMAL_TASKS: '$task' is no task; there are cifar4 and fmnist" ;;
        esac
        for strategy in "${strategies[@]}"; do
            set_options "$task" "$strategy"
            said=$(dry_run) || fmal_fail "$task with $strategy is refused: $said"
        done
    done
}

# ---- What is left -------------------------------------------------------------------------

# Seconds of the rounds that a run has finished.
seconds_of() { # DIR
    sed -nE 's/.*"event":"(pick|round)".*"seconds":([0-9.e+-]+).*/\2/p' "$1/events.jsonl" \
        2>/dev/null | awk '{ sum += $1 } END { printf "%.1f", sum }'
}

# Whether a run has come to its end.
is_finished() { # DIR
    "$fmal" inspect "$1" 2>/dev/null | grep -q '^state  *finished'
}

# One line for each run: task, strategy, seconds so far, whether it is finished.
list_runs() {
    local seed strategy task run

    for seed in "${seeds[@]}"; do
        for strategy in "${strategies[@]}"; do
            for task in "${tasks[@]}"; do
                run=$runs/$task-$strategy-$seed
                echo "$task $strategy $(seconds_of "$run") $(is_finished "$run" && echo 1 || echo 0)"
            done
        done
    done
}

# A run that is left takes as long as those of its task and strategy, or else of its task.
say_what_is_left() {
    fmal_say "$(list_runs | awk '
        { of[NR] = $1; by[NR] = $1 " " $2; spent[NR] = $3; done[NR] = $4; finished += $4 }
        $4 { n[$1]++; sum[$1] += $3; n[$1 " " $2]++; sum[$1 " " $2] += $3 }
        END {
            for (i = 1; i <= NR; i++) {
                key = n[by[i]] ? by[i] : of[i]
                if (done[i]) continue
                if (!n[key]) unknown++
                else if (sum[key] / n[key] > spent[i]) left += sum[key] / n[key] - spent[i]
            }
            printf "%d of %d runs are finished", finished, NR
            if (left) printf ", about %d minutes are left", left / 60 + 1
            if (unknown) printf ", how long %d of them take is not known yet", unknown
        }')"
}

# ---- Runs ---------------------------------------------------------------------------------

# one_run TASK STRATEGY SEED: to its end, or the script ends here
one_run() {
    local run=$runs/$1-$2-$3 before

    before=$(stat -c %s "$run.log" 2>/dev/null || echo 0)
    set_options "$1" "$2"
    fmal_leg "${fmal_launch[@]}" "$fmal" run "${options[@]}" --seed "$3" --run "$run" >>"$run.log" 2>&1
    if [ -n "$fmal_cancelled$fmal_signalled" ] || [ "$fmal_code" -eq 3 ]; then
        say_what_is_left
        fmal_say "stopped; the same command goes on"
        exit 3
    elif [ "$fmal_code" -ne 0 ]; then
        tail -c "+$((before + 1))" "$run.log" | grep '^fmal: ' >&2
        fmal_say "$run failed with exit code $fmal_code; $run.log says more"
        exit "$fmal_code"
    fi
}

words=("$@")
fmal_find
prepare
say_what_is_left
for seed in "${seeds[@]}"; do
    for strategy in "${strategies[@]}"; do
        for task in "${tasks[@]}"; do
            new=yes
            ! is_finished "$runs/$task-$strategy-$seed" || new=''
            [ -z "$new" ] || fmal_say "$task, $strategy, seed $seed"
            one_run "$task" "$strategy" "$seed"
            [ -z "$new" ] || say_what_is_left
        done
    done
done
fmal_say "tools/experiment_tables $runs prints the tables"
