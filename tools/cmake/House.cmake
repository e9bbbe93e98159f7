# How every part of the house is built: warnings are errors, one library per folder, one test program per folder.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release or Sanitize" FORCE)
endif()
set(POSTRIDER_SANITIZE "" CACHE STRING "Sanitizers to build with, as in -fsanitize=")

# -g1 keeps file and line in a crash report without the cost of full debug information.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_CXX_FLAGS_SANITIZE "-O1 -g1 -fno-omit-frame-pointer")
add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror)
if(POSTRIDER_SANITIZE)
  # GCC's maybe-uninitialized and friends misfire once sanitizers have rewritten the code.
  add_compile_options(-fsanitize=${POSTRIDER_SANITIZE} -fno-sanitize-recover=all
    -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds -Wno-restrict -Wno-tsan)
  add_link_options(-fsanitize=${POSTRIDER_SANITIZE})
endif()

# postrider_folder(engine/io OURS config THEIRS PkgConfig::uring): the library of one folder (not of its subfolders).
# Its target is postrider_engine_io; a folder that holds only headers becomes an interface library.
function(postrider_folder folder)
  cmake_parse_arguments(ARG "" "" "OURS;THEIRS" ${ARGN})
  string(REPLACE "/" "_" name ${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cc)
  set(ours)
  foreach(other ${ARG_OURS})
    string(REPLACE "/" "_" other ${other})
    list(APPEND ours postrider_${other})
  endforeach()
  if(sources)
    add_library(postrider_${name} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(postrider_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(postrider_${name} ${scope} ${CMAKE_SOURCE_DIR})
  target_link_libraries(postrider_${name} ${scope} ${ours} fmt::fmt ${ARG_THEIRS} Threads::Threads)
endfunction()

# postrider_test(engine/io): one test program of all tests/engine/io/*_test.cc (other *.cc there are its support code).
function(postrider_test folder)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LINK" ${ARGN})
  string(REPLACE "/" "_" name ${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${folder}/*.cc)
  if(NOT sources)
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name}_test ${sources})
  target_compile_definitions(${name}_test PRIVATE POSTRIDER_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/${folder}")
  target_link_libraries(${name}_test PRIVATE postrider_${name} ${ARG_LINK} GTest::gmock GTest::gtest_main)
  add_test(NAME ${folder} COMMAND ${name}_test)
  set_tests_properties(${folder} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
endfunction()
