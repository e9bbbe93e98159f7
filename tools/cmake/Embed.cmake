# postrider_embed(config config/reply_rules.toml ShippedReplyRules): a text that the program carries inside. The folder's
# library gets postrider::ShippedReplyRules(), a std::string_view of the file; a header of the folder declares it.
# Run as a script (cmake -P) this file is also the step that writes the source, again whenever the text changes.

if(CMAKE_SCRIPT_MODE_FILE)
  file(READ "${INPUT}" text)
  string(FIND "${text}" ")embedded\"" end_mark)
  if(NOT end_mark EQUAL -1)
    message(FATAL_ERROR "${INPUT}: must not contain the end mark of an embedded text")
  endif()
  file(WRITE "${OUTPUT}" "// Made from ${NAME}; edit that.\n"
    "#include <string_view>\n\nnamespace postrider {\n\nstd::string_view ${ACCESSOR}();\n"
    "std::string_view ${ACCESSOR}() {\n  return R\"embedded(${text})embedded\";\n}\n\n}  // namespace postrider\n")
  return()
endif()

function(postrider_embed folder file accessor)
  string(REPLACE "/" "_" name ${folder})
  set(output ${CMAKE_BINARY_DIR}/embedded/${accessor}.cc)
  set(script ${CMAKE_CURRENT_FUNCTION_LIST_FILE})
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DINPUT=${CMAKE_SOURCE_DIR}/${file} -DOUTPUT=${output} -DNAME=${file}
      -DACCESSOR=${accessor} -P ${script}
    DEPENDS ${CMAKE_SOURCE_DIR}/${file} ${script}
    COMMENT "Embedding ${file}" VERBATIM)
  target_sources(postrider_${name} PRIVATE ${output})
endfunction()
