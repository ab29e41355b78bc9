# A static library of one object in which only the symbols of the public interface are left: a program may have functions of its own that are called
# like ours, and the client and the broker in the mock do not meet.
#
#   leveret_bundle(TARGET OUTPUT_NAME lev_mock_* FILES ...)
function(leveret_bundle target output pattern)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${target}.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_LINKER} -r -o ${object} ${ARGN}
    COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=${pattern} ${object}
    DEPENDS ${ARGN} COMMAND_EXPAND_LISTS VERBATIM)
  add_library(${target} STATIC ${object})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${output} LINKER_LANGUAGE C)
  set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
endfunction()
