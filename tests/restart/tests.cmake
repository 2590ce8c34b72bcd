# Inputs made and outputs read for these tests.
add_executable(restart_make_data restart/make_data.c)
target_link_libraries(restart_make_data PRIVATE fmal_io fmal_flags m)
add_executable(restart_check_events restart/check_events.c)
target_link_libraries(restart_check_events PRIVATE fmal::jansson fmal_flags)

function(fmal_restart_test behaviour)
  fmal_cli_test(${behaviour} DIRECTORY restart ${ARGN})
endfunction()

foreach(np 1 2 3)
  fmal_restart_test(kills NAME kills.np${np} ARGS ${np} RANKS ${np})
endforeach()
fmal_restart_test(resume)
fmal_restart_test(select RANKS 3)
fmal_restart_test(stops)
fmal_restart_test(finished)
