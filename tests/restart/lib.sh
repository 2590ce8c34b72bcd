# shellcheck shell=bash
# Shared by the tests of restarts; sourced.
#
# Each test works in a directory of its own, where Open MPI keeps its files too, so that
# nothing that is left behind goes unnoticed or stays.
set -eu -o pipefail

dir=$(mktemp -d "${TMPDIR:-/tmp}/fmal-restart-XXXXXX")
mkdir "$dir/shm" "$dir/session"
export OMPI_MCA_btl_vader_backing_directory=$dir/shm OMPI_MCA_orte_tmpdir_base=$dir/session
# Once a rank is dead, mpirun need not give the others a second to say good-bye.
export OMPI_MCA_odls_base_sigkill_timeout=0
# Ranks that wait leave the cores to others: tests share them.
export OMPI_MCA_mpi_yield_when_idle=1
limit=120 # seconds after which a start hangs
children=()
cd "$dir"

# Ends what this test started and has not waited for, by its number.
clean_up() {
    local pid

    for pid in "${children[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    cd /
    rm -rf "$dir"
}
trap clean_up EXIT

die() { # why
    echo "not ok - $1" >&2
    if [ -s log ]; then
        echo "--- last lines of the last log" >&2
        tail -n 30 log >&2
    fi
    exit 1
}

ok() { # what
    echo "ok - $1"
}

need_hooks() {
    if [ "${FMAL_HAS_HOOKS:-0}" != 1 ]; then
        echo "skipped: this build has no named points; configure with FMAL_TEST_HOOKS=ON"
        exit 77
    fi
}

make_data() { # arguments of make_data
    "$FMAL_BUILD/tests/restart_make_data" "$@" || die "make_data $*"
}

# ---- Starting the program ----
#
# Output goes to the files out and log, the exit code to rc.

launch() { # ranks arguments...
    local ranks=$1
    shift
    rc=0
    timeout "$limit" mpirun -np "$ranks" "$FMAL" "$@" >out 2>log </dev/null || rc=$?
    [ $rc -ne 124 ] || die "hangs: fmal $*"
}

# A run of the small data set in DIR; options that are given again override.
small=(--data data.h5 --hidden 8 --initial 20 --batch 10 --rounds 2 --oversample 3
    --lambda 0.0001 --epochs 30 --train-accuracy 2 --learning-rate 0.01 --train-batch 8
    --micro-batch 4)

run() { # ranks DIR options...
    launch "$1" run --run "$2" "${small[@]}" "${@:3}"
}

expect_rc() { # code what
    [ "$rc" -eq "$1" ] || die "$2: exit code $rc, wanted $1"
}

said() { # text: an exact part of the log
    grep -qF -- "$1" log || die "the log does not say '$1'"
}

finish() { # ranks DIR options...
    run "$@"
    expect_rc 0 "run $2 to its end"
}

# Die at a named point: SIGKILL, and nothing else.
kill_at() { # point[:count[:rank]] ranks DIR options...
    FMAL_KILL_AT=$1 run "${@:2}"
    expect_rc 137 "killed at $1"
}

# In the background; the number of the launcher goes to job.
start() { # ranks arguments...
    : >log # now: what was said before is no answer to the next question
    mpirun -np "$1" "$FMAL" "${@:2}" >out 2>log </dev/null &
    job=$!
    children+=("$job")
}

# Until a condition holds; a generous limit, since machines may be busy.
await() { # what command...
    local what=$1 tries
    shift
    for ((tries = 0; tries < 1200; tries++)); do
        ! "$@" || return 0
        sleep 0.05
    done
    die "$what: not after a minute"
}

# The job that was started, to its end.
await_job() {
    rc=0
    await "end of the job" job_ended
    wait "$job" || rc=$?
    children=()
}

job_ended() {
    ! kill -0 "$job" 2>/dev/null
}

log_has() { # text
    grep -qF -- "$1" log
}

# Whether a process has ended, though nobody may have asked for its exit code yet.
has_ended() { # number
    ! grep -q '^State:[[:space:]]*[^ZX]' "/proc/$1/status" 2>/dev/null
}

# Numbers of the processes of the job's ranks, in the order of ranks.
rank_pids() {
    local pid name parent

    for file in /proc/[0-9]*/stat; do
        if read -r pid name _ parent _ <"$file" && [ "$name $parent" = "(fmal) $job" ]; then
            echo "$pid"
        fi
    done 2>/dev/null | sort -n
}

# So many of them, as words of the array pids; they may take a moment to appear.
find_ranks() { # number
    await "$1 ranks" has_ranks "$1"
    mapfile -t pids < <(rank_pids)
}

has_ranks() { # number
    [ "$(rank_pids | wc -l)" -eq "$1" ]
}

in_training() { # DIR: with epochs in the checkpoint
    [[ $(position "$1" 2>/dev/null) == *,* ]]
}

# ---- Looking at results ----

# Where a checkpoint is, in a line: "training round 1, epochs 3, ...".
position() { # DIR
    "$FMAL" inspect "$1" | sed -nE 's/^(state|epochs done|selection) +//p' | paste -sd, -
}

expect_position() { # DIR where
    local got

    got=$(position "$1") || die "inspect $1"
    [ "$got" = "$2" ] || die "the checkpoint is at '$got', not at '$2'"
}

same_tables() { # DIR DIR
    local file

    for file in metrics.csv classes.csv picks.csv; do
        cmp "$1/$file" "$2/$file" || die "$1 and $2 differ in $file"
    done
}

# Two finished runs have the same of everything but seconds and ranks.
same_end() { # DIR DIR
    local what

    same_tables "$1" "$2"
    for what in /picks /model /rounds/objective_before /rounds/objective_after; do
        h5diff -q "$1/checkpoint.h5" "$2/checkpoint.h5" "$what" "$what" ||
            die "$1 and $2 differ in $what of their checkpoints"
    done
}

# All events are sound, and every round is there once.
sound_events() { # DIR rounds
    local got want

    want=$(
        echo "round 0"
        for ((i = 1; i <= $2; i++)); do printf 'pick %d\nround %d\n' "$i" "$i"; done
    )
    got=$("$FMAL_BUILD/tests/restart_check_events" "$1/events.jsonl") || die "bad events"
    [ "$(grep -c '^start$' <<<"$got")" = 1 ] || die "the run starts more than once: $got"
    got=$(grep -E '^(pick|round) ' <<<"$got")
    [ "$got" = "$want" ] || die "events are $got"
}

# Checksums of all files of a directory but the lock.
files_of() { # DIR
    find "$1" -type f ! -name lock -exec sha256sum {} + | LC_ALL=C sort -k 2
}
