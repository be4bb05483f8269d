# vcpkg install memoman --overlay-ports=packaging/vcpkg
# A port in this source tree: it builds the tree that it lies in, by cargo.
if(NOT HOST_TRIPLET MATCHES "^${VCPKG_TARGET_ARCHITECTURE}-linux")
  message(FATAL_ERROR "cargo builds memoman for the Linux machine that it runs on "
    "(${HOST_TRIPLET}), not for ${TARGET_TRIPLET}")
endif()
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
find_program(CARGO cargo REQUIRED)
set(built "${CURRENT_BUILDTREES_DIR}/dist")
vcpkg_execute_required_process(
  COMMAND "${SOURCE_PATH}/scripts/build-lib.sh" "${built}" release
  WORKING_DIRECTORY "${SOURCE_PATH}"
  LOGNAME build-memoman)
file(INSTALL "${built}/libmemoman.a" DESTINATION "${CURRENT_PACKAGES_DIR}/lib")
file(INSTALL "${built}/libmemoman.a" DESTINATION "${CURRENT_PACKAGES_DIR}/debug/lib")
file(INSTALL "${built}/include/" DESTINATION "${CURRENT_PACKAGES_DIR}/include")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/memoman-config.cmake"
  DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
file(READ "${CMAKE_CURRENT_LIST_DIR}/vcpkg.json" port)
string(JSON VERSION GET "${port}" version)
configure_file("${SOURCE_PATH}/packaging/cmake/memoman-config-version.cmake.in"
  "${CURRENT_PACKAGES_DIR}/share/${PORT}/memoman-config-version.cmake" @ONLY)
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE-MIT" "${SOURCE_PATH}/LICENSE-APACHE")
