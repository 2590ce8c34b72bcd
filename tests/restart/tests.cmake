# Inputs made and outputs read for these tests.
add_executable(restart_make_data restart/make_data.c)
target_link_libraries(restart_make_data PRIVATE fmal_io fmal_flags m)
