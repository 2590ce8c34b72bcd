#!/usr/bin/env bash
#SBATCH --job-name=fmal-scaling
#SBATCH --ntasks=16
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --output=%x-%j.out
#
# Times of a step and of its parts on several numbers of ranks:
#
#   sbatch -n 64 jobs/scaling.sh strong "1 2 4 8 16 32 64" -n 1000000 -d 128 -c 10
#   bash jobs/scaling.sh weak "1 2" -n 20000 -f binary
#
# strong: as many samples on any number of ranks; weak: as many a rank. What follows goes to
# fmal bench (-n samples, -d features, -c classes, -f factor, -b batch, --repeats). The
# reports of fmal bench --json are appended to FMAL_OUTPUT (scaling.jsonl), one on a line:
# tools/scaling_model reads them. FMAL_CASES names the cases (step update allreduce
# select); --help prints this. More settings: jobs/env.sh.
set -u

fmal_job=scaling.sh
output=${FMAL_OUTPUT:-scaling.jsonl}
cases=${FMAL_CASES:-step update allreduce select}

# Nothing is saved here: when a rank has failed, mpirun need not wait for the others.
export OMPI_MCA_odls_base_sigkill_timeout=${OMPI_MCA_odls_base_sigkill_timeout:-1}

# Slurm runs a copy of this script, elsewhere; so look where the job was submitted, too.
for dir in "${FMAL_JOBS:-}" "$(dirname "$0")" "${SLURM_SUBMIT_DIR:-.}"/jobs "${SLURM_SUBMIT_DIR:-.}"; do
    [ -n "$dir" ] && [ -r "$dir/env.sh" ] && break
    dir=''
done
# shellcheck source=jobs/env.sh
. "${dir:?submit from the folder above jobs/, or set FMAL_JOBS to it}/env.sh"

fmal_help "$@"
usage='usage: scaling.sh strong|weak "RANKS..." -n SAMPLES [options of fmal bench]'
mode=${1:-} ranks=${2:-}
case $mode in
strong | weak) ;;
*) fmal_fail "$usage" ;;
esac
case $ranks in
'' | *[!0-9\ ]*) fmal_fail "'$ranks' is no list of ranks; $usage" ;;
esac
shift 2

# The samples, and what else is given.
samples='' factor=() batch=() rest=()
while [ $# -gt 0 ]; do
    case $1 in
    -n | --samples) samples=${2:-} && shift ;;
    -n*) samples=${1#-n} ;;
    --samples=*) samples=${1#*=} ;;
    -f | --factor) factor=(--factor "${2:-}") && shift ;;
    -f* | --factor=*) factor=("$1") ;;
    -b | --batch) batch=(--batch "${2:-}") && shift ;;
    -b* | --batch=*) batch=("$1") ;;
    *) rest+=("$1") ;;
    esac
    [ $# -eq 0 ] || shift
done
case $samples in
'' | *[!0-9]*) fmal_fail "'$samples' is no number of samples; $usage" ;;
esac

# Sets launch: words before the program for so many ranks.
launch_on() {
    FMAL_RANKS=$1 fmal_find
    launch=("${fmal_launch[@]}")
    if [ -n "${SLURM_JOB_ID:-}" ] || [ -n "${FMAL_LAUNCH:-}" ]; then
        launch+=(-n "$1")
    fi
}

failed=0
for r in $ranks; do
    n=$samples
    [ "$mode" = strong ] || n=$((samples * r))
    launch_on "$r"
    for case in $cases; do
        own=() # what a case does not use, it refuses
        case $case in
        fisher | initial | step | update) own=(${factor[@]+"${factor[@]}"}) ;;
        select) own=(${factor[@]+"${factor[@]}"} ${batch[@]+"${batch[@]}"}) ;;
        esac
        fmal_say "$case on $r ranks, $n samples"
        if report=$("${launch[@]}" "$fmal" bench "$case" --json --quiet \
            --samples "$n" ${own[@]+"${own[@]}"} ${rest[@]+"${rest[@]}"} </dev/null); then
            tr -d '\n' <<<"$report" | tr -s ' ' >>"$output"
            echo >>"$output"
        else
            fmal_say "$case on $r ranks failed"
            failed=1
        fi
    done
done
exit $failed
