# shellcheck shell=bash
# Sourced by the job scripts here: where fmal is, how it is launched, and what happens
# when Slurm's time is up. All of it may be set from outside:
#
#   FMAL         the program (default: fmal in PATH, else build/release/fmal of this tree)
#   FMAL_LAUNCH  words before the program (default: srun --mpi=pmix under Slurm, else mpirun)
#   FMAL_RANKS   ranks outside of Slurm (default: one for each core)

# One BLAS thread a rank; more would compete for the cores of the other ranks.
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

# A job that is cancelled gets TERM in all of its processes. mpirun then kills its ranks after
# twice this time in seconds; it waits as long after any rank's exit code but 0.
if [ -n "${SLURM_JOB_ID:-}" ]; then
    export OMPI_MCA_odls_base_sigkill_timeout=${OMPI_MCA_odls_base_sigkill_timeout:-10}
fi

# A rank stays on its core. Slurm refuses to bind twice, so a --hint is left alone.
if [ -z "${SLURM_HINT:-}" ]; then
    export SLURM_CPU_BIND=${SLURM_CPU_BIND:-cores}
fi

# fmal stops in time if it knows when the job ends, in seconds since 1970. Old Slurm does not
# say so, and a job submitted from within another job inherits that one's end: so ask.
fmal_ask_end() {
    local end

    end=$(squeue -h -j "$SLURM_JOB_ID" -o %e 2>/dev/null) && [ -n "$end" ] || return 0
    unset SLURM_JOB_END_TIME
    # Not a date, such as N/A: no limit.
    if end=$(date -d "$end" +%s 2>/dev/null); then
        export SLURM_JOB_END_TIME=$end
    fi
}
if [ -n "${SLURM_JOB_ID:-}" ]; then
    fmal_ask_end
    # A signal before fmal runs must not end the job: fmal knows the time itself.
    trap : USR1
fi

fmal_say() { printf '%s: %s\n' "${fmal_job:-fmal}" "$*" >&2; }

fmal_fail() {
    fmal_say "$1"
    exit 2
}

# fmal_help WORD...: -h or --help among them prints the comment at the script's head, and ends.
fmal_help() {
    local word

    for word; do
        case $word in
        -h | --help)
            awk '!/^#/ { exit } /^#(!|SBATCH)/ { next } { sub(/^# ?/, ""); if ($0 != "" || text++) print }' "$0"
            exit 0
            ;;
        esac
    done
}

# Sets fmal and fmal_launch.
fmal_find() {
    local cores ranks near=${BASH_SOURCE[0]%/*}/../build/release/fmal

    fmal=${FMAL:-$(command -v fmal || true)}
    [ -n "$fmal" ] || [ ! -x "$near" ] || fmal=$near
    [ -n "$fmal" ] || fmal_fail "no fmal in PATH; set FMAL to the program"
    type -P "$fmal" >/dev/null || fmal_fail "FMAL: there is no program '$fmal'"
    if [ -n "${FMAL_LAUNCH:-}" ]; then
        read -r -a fmal_launch <<<"$FMAL_LAUNCH"
    elif [ -n "${SLURM_JOB_ID:-}" ]; then
        fmal_launch=(srun --mpi=pmix)
    else
        cores=$(lscpu -p=CORE,SOCKET 2>/dev/null | grep -v '^#' | sort -u | wc -l) || true
        [ "$cores" -ge 1 ] || cores=$(env -u OMP_NUM_THREADS nproc)
        ranks=${FMAL_RANKS:-$cores}
        [[ $ranks =~ ^[1-9][0-9]{0,8}$ ]] || fmal_fail "FMAL_RANKS: '$ranks' is no number of ranks"
        fmal_launch=(mpirun -np "$ranks" --bind-to core)
        if [ "$ranks" -gt "$cores" ]; then
            fmal_launch=(mpirun -np "$ranks" --oversubscribe --bind-to none)
        fi
    fi
}

# How far a checkpoint has come, in words; nothing if there is none. A selection has its Jacobian
# beside OUTPUT.part: what is written of it takes room.
fmal_progress() {
    "$fmal" inspect "$1" 2>/dev/null |
        grep -E '^(state|epochs done|Jacobian blocks|selection|added so far|removed so far) ' || true
    stat -c '%b of the Jacobian' "${1%.part}.jacobian" 2>/dev/null || true
}

# fmal_leg command...: run to the end, and pass signals on. USR1 makes fmal save and stop.
# TERM comes from scancel and preemption, INT from a terminal; mpirun would kill its ranks 2
# seconds after either, so it gets USR1 instead, and no signal of the terminal's, in a process
# group of its own. A second INT is meant. Sets fmal_code, and fmal_cancelled after TERM, INT.
fmal_leg() {
    local child code caught harder=USR1

    fmal_cancelled='' fmal_signalled='' fmal_code=127
    set -m
    "$@" </dev/null &
    child=$!
    set +m
    trap 'caught=yes fmal_signalled=yes; fmal_say "time is nearly up; fmal is asked to save"
        kill -USR1 $child 2>/dev/null' USR1
    trap 'caught=yes fmal_cancelled=yes; kill -USR1 $child 2>/dev/null' TERM
    trap 'caught=yes fmal_cancelled=yes; kill -$harder $child 2>/dev/null; harder=TERM' INT
    while :; do
        caught=''
        wait "$child"
        code=$?
        [ "$code" -eq 127 ] || fmal_code=$code # 127: the wait before has had it
        [ -n "$caught" ] || break
    done
    trap - USR1 TERM INT
}

# Whether it was Slurm's time limit that ended the leg, not a stop file or --max-time.
fmal_out_of_time() {
    [ -n "$fmal_signalled" ] && return
    [ -n "${SLURM_JOB_END_TIME:-}" ] && [ $((SLURM_JOB_END_TIME - $(date +%s))) -lt 240 ]
}

# fmal_run_job CHECKPOINT NOTES command...: one leg of the job, then once more if Slurm's
# time was up before the end. NOTES is a file that counts legs without progress. Without
# Slurm there is one leg.
fmal_run_job() {
    local checkpoint=$1 notes=$2 before job idle
    shift 2

    before=$(fmal_progress "$checkpoint")
    fmal_leg "${fmal_launch[@]}" "$@"
    if [ "$fmal_code" -ne 0 ] && [ -n "$fmal_cancelled" ]; then
        fmal_say "cancelled; the same job goes on from the last checkpoint"
        exit "$fmal_code"
    elif [ "$fmal_code" -ne 3 ] || [ -z "${SLURM_JOB_ID:-}" ]; then # done, failed, or by hand
        rm -f "$notes"
        exit "$fmal_code"
    elif ! fmal_out_of_time; then
        fmal_say "stopped before its time, as someone wished; not requeued"
        exit 3
    fi
    [ ! -r "$notes" ] || read -r job idle <"$notes"
    [ "${job:-}" = "$SLURM_JOB_ID" ] || idle=0
    if [ "$(fmal_progress "$checkpoint")" = "$before" ]; then
        idle=$((idle + 1))
    else
        idle=0
    fi
    if ! echo "$SLURM_JOB_ID $idle" >"$notes"; then
        fmal_say "cannot count legs in $notes; not requeued"
        exit 3
    fi
    if [ "$idle" -ge 2 ]; then
        fmal_say "two legs without progress; not requeued, give the job more time"
        rm -f "$notes"
        exit 3
    fi
    fmal_say "out of time, with a checkpoint; requeueing job $SLURM_JOB_ID"
    scontrol requeue "$SLURM_JOB_ID" || fmal_say "cannot requeue; submit the same job again"
    exit 3
}
