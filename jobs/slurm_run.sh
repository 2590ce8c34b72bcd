#!/usr/bin/env bash
#SBATCH --job-name=fmal-run
#SBATCH --ntasks=16
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
#
# Rounds of active learning on a data set, in as many jobs as they take:
#
#   FMAL_DATA=fmnist.h5 FMAL_RUN=runs/bait sbatch -n 64 jobs/slurm_run.sh --rounds 50
#
# What follows the script's name goes to fmal run. Three minutes before its time is up the
# job saves RUN/checkpoint.h5 and is requeued; it goes on from there. Without Slurm,
# `bash jobs/slurm_run.sh ...` does the same under mpirun. More settings: jobs/env.sh.
set -u

fmal_job=slurm_run.sh
data=${FMAL_DATA:-data.h5}
run=${FMAL_RUN:-run}

# Slurm runs a copy of this script, elsewhere; so look where the job was submitted, too.
for dir in "${FMAL_JOBS:-}" "$(dirname "$0")" "${SLURM_SUBMIT_DIR:-.}"/jobs "${SLURM_SUBMIT_DIR:-.}"; do
    [ -n "$dir" ] && [ -r "$dir/env.sh" ] && break
    dir=''
done
# shellcheck source=jobs/env.sh
. "${dir:?submit from the folder above jobs/, or set FMAL_JOBS to it}/env.sh"

fmal_find
fmal_run_job "$run" "$run/legs" "$fmal" run --data "$data" --run "$run" "$@"
