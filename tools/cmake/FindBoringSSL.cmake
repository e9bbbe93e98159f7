# Finds BoringSSL and nothing else that calls itself libssl.
#
# Debian puts BoringSSL beside OpenSSL under other directories (package android-libboringssl-dev), so the usual search
# paths are off: they would find OpenSSL. -DBORINGSSL_ROOT=DIR names another build, with DIR/include and DIR/lib.
# Defines the targets BoringSSL::ssl and BoringSSL::crypto and BoringSSL_LIBRARY_DIR (needed as RPATH).

if(BORINGSSL_ROOT)
  set(_include_hints ${BORINGSSL_ROOT}/include)
  set(_library_hints ${BORINGSSL_ROOT}/lib ${BORINGSSL_ROOT})
else()
  set(_include_hints /usr/include/android)
  set(_library_hints /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android)
endif()

find_path(BoringSSL_INCLUDE_DIR openssl/ssl.h PATHS ${_include_hints} NO_DEFAULT_PATH)
find_library(BoringSSL_SSL_LIBRARY ssl PATHS ${_library_hints} NO_DEFAULT_PATH)
find_library(BoringSSL_CRYPTO_LIBRARY crypto PATHS ${_library_hints} NO_DEFAULT_PATH)

if(BoringSSL_INCLUDE_DIR)
  file(STRINGS ${BoringSSL_INCLUDE_DIR}/openssl/base.h _boring REGEX "define OPENSSL_IS_BORINGSSL")
  if(NOT _boring)
    message(FATAL_ERROR "${BoringSSL_INCLUDE_DIR}/openssl is OpenSSL, not BoringSSL")
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(BoringSSL
  REQUIRED_VARS BoringSSL_INCLUDE_DIR BoringSSL_SSL_LIBRARY BoringSSL_CRYPTO_LIBRARY)

if(BoringSSL_FOUND AND NOT TARGET BoringSSL::ssl)
  add_library(BoringSSL::crypto UNKNOWN IMPORTED)
  set_target_properties(BoringSSL::crypto PROPERTIES
    IMPORTED_LOCATION ${BoringSSL_CRYPTO_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${BoringSSL_INCLUDE_DIR})
  add_library(BoringSSL::ssl UNKNOWN IMPORTED)
  set_target_properties(BoringSSL::ssl PROPERTIES
    IMPORTED_LOCATION ${BoringSSL_SSL_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${BoringSSL_INCLUDE_DIR}
    INTERFACE_LINK_LIBRARIES BoringSSL::crypto)
  get_filename_component(BoringSSL_LIBRARY_DIR ${BoringSSL_SSL_LIBRARY} DIRECTORY)
endif()
