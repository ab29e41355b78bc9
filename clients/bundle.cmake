# A static library of one object in which only the symbols of the public interface are left: a program may have functions of its own that are called
# like ours, and the client and the broker in the mock do not meet.
#
#   leveret_bundle(TARGET OUTPUT_NAME lev_mock_* FILES ...)
function(leveret_bundle target output pattern)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${target}.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_LINKER} -r -o ${object} ${ARGN}
    COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=${pattern} --remove-section=.gnu.lto_* --remove-section=.gnu.debuglto_*
            ${object}
    DEPENDS ${ARGN} COMMAND_EXPAND_LISTS VERBATIM)
  add_library(${target} STATIC ${object})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${output} LINKER_LANGUAGE C)
  set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
endfunction()

# A library beside libleveret, libleveret-NAME, which is built on its public interface alone.
function(leveret_addon name)
  string(REPLACE "-" "_" id ${name})
  add_library(leveret_${id} OBJECT ${ARGN})
  target_include_directories(leveret_${id} PRIVATE ${CMAKE_SOURCE_DIR}/clients/c/include)
  target_link_libraries(leveret_${id} PRIVATE leveret_flags)
  set_target_properties(leveret_${id} PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
  leveret_bundle(leveret_${id}_static leveret-${name} lev_* $<TARGET_OBJECTS:leveret_${id}>)
  target_link_libraries(leveret_${id}_static INTERFACE leveret_static)
endfunction()

# leveret_addon_uses(NAME PACKAGE DEFINITION [FILE ...])
function(leveret_addon_uses name package definition)
  string(REPLACE "-" "_" id ${name})
  target_sources(leveret_${id} PRIVATE ${ARGN})
  target_compile_definitions(leveret_${id} PRIVATE ${definition})
  target_link_libraries(leveret_${id} PRIVATE ${package})
  target_link_libraries(leveret_${id}_static INTERFACE ${package})
endfunction()
