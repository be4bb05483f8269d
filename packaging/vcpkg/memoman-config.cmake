# find_package(memoman) in a project that vcpkg serves: memoman::memoman, memoman::static
# (the same here), memoman::tlsf.
include(CMakeFindDependencyMacro)
set(THREADS_PREFER_PTHREAD_FLAG TRUE)
find_dependency(Threads)
get_filename_component(_memoman_root "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
if(NOT TARGET memoman::memoman)
  add_library(memoman::memoman STATIC IMPORTED)
  set_target_properties(memoman::memoman PROPERTIES
    IMPORTED_LOCATION "${_memoman_root}/lib/libmemoman.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_memoman_root}/include"
    INTERFACE_LINK_LIBRARIES Threads::Threads)
  add_library(memoman::static INTERFACE IMPORTED)
  set_target_properties(memoman::static PROPERTIES
    INTERFACE_LINK_LIBRARIES memoman::memoman)
  add_library(memoman::tlsf INTERFACE IMPORTED)
  set_target_properties(memoman::tlsf PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${_memoman_root}/include/memoman"
    INTERFACE_LINK_LIBRARIES memoman::memoman)
endif()
