fmal_cli_test(install)
