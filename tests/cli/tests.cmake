add_executable(fmal_make_pool cli/make_pool.c)
target_link_libraries(fmal_make_pool PRIVATE fmal_io fmal_flags m)

fmal_cli_test(install)
