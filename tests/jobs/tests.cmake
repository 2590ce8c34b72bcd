# restart_make_data makes the inputs.
fmal_cli_test(jobs DIRECTORY jobs)
