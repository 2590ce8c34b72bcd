# Installation, the exported CMake package and fmal.pc.
include(CMakePackageConfigHelpers)

install(TARGETS fmal_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS fmal EXPORT fmalTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/fmal "${PROJECT_BINARY_DIR}/include/fmal"
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY jobs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/fmal/jobs
  USE_SOURCE_PERMISSIONS)
install(FILES README.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fmal)
install(EXPORT fmalTargets NAMESPACE fmal:: DESTINATION ${package_dir})
configure_package_config_file(tools/cmake/fmalConfig.cmake.in
  "${PROJECT_BINARY_DIR}/fmalConfig.cmake" INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/fmalConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/fmalConfig.cmake"
  "${PROJECT_BINARY_DIR}/fmalConfigVersion.cmake"
  tools/cmake/FmalDependencies.cmake DESTINATION ${package_dir})

configure_file(tools/cmake/fmal.pc.in "${PROJECT_BINARY_DIR}/fmal.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/fmal.pc"
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
