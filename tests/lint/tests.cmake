# Checks of the sources themselves.
function(fmal_lint_test name)
  add_test(NAME lint.${name} COMMAND bash ${ARGN})
  set_tests_properties(lint.${name} PROPERTIES LABELS lint TIMEOUT 120
    SKIP_RETURN_CODE 77 ENVIRONMENT "FMAL_SOURCE=${PROJECT_SOURCE_DIR}")
endfunction()

fmal_lint_test(format "${PROJECT_SOURCE_DIR}/tools/format" --check)
fmal_lint_test(layers "${PROJECT_SOURCE_DIR}/tools/check_layers" --build
  "${PROJECT_BINARY_DIR}")
fmal_lint_test(layers_finds "${PROJECT_SOURCE_DIR}/tests/lint/layers.sh")
