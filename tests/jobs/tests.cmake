# restart_make_data makes the inputs.
fmal_cli_test(jobs DIRECTORY jobs)
fmal_cli_test(cifar DIRECTORY jobs)
fmal_cli_test(slurm DIRECTORY jobs LABELS slurm RANKS 1 TIMEOUT 600) # it waits most of the time
fmal_cli_test(experiment DIRECTORY jobs TIMEOUT 600)
fmal_cli_test(scaling DIRECTORY jobs)
fmal_cli_test(measure DIRECTORY jobs LABELS slow TIMEOUT 900)
