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
# What follows the script's name goes to fmal run; --help prints this. Three minutes before its
# time is up the job is asked to save RUN/checkpoint.h5; then it is requeued, and goes on from
# there. It saves between two epochs at the earliest: an epoch, and the saving, have to fit into
# these minutes. Otherwise Slurm ends the job, which is not requeued; submitted again, it goes on
# from the checkpoint before. So ask for more where epochs take long; the command line counts, not
# the #SBATCH line of this script:
#
#   FMAL_DATA=large.h5 FMAL_RUN=runs/bait sbatch --signal=B:USR1@900 jobs/slurm_run.sh
#
# All other work can stop sooner: between the batches of a mask, the blocks of a Jacobian, of a
# pool that is scored and of a test set, and the steps of a selection. Without Slurm,
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

fmal_help "$@"
fmal_find
fmal_run_job "$run" "$run/legs" "$fmal" run --data "$data" --run "$run" "$@"
