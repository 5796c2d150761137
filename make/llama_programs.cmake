# llama.cpp's own programs that an export needs (llama-server, llama-quantize) and its converter, from the source release
# of llama-cpp-python. CMake includes it right after that package's project() line, with -DLLAMA_BUILD=OFF: the package's
# own libraries are left out. How ggml is compiled, and why AMX is left out: make/llama.cmake.
include("${CMAKE_CURRENT_LIST_DIR}/llama.cmake")
set(BUILD_SHARED_LIBS OFF) # one file a program
set(CMAKE_POLICY_DEFAULT_CMP0077 NEW) # llama.cpp's options obey the plain variables below
foreach(part TESTS EXAMPLES APP UI)
  set(LLAMA_BUILD_${part} OFF)
endforeach()
foreach(part COMMON TOOLS SERVER)
  set(LLAMA_BUILD_${part} ON)
endforeach()
set(LLAMA_USE_PREBUILT_UI OFF) # the web page of the server would be fetched
set(LLAMA_OPENSSL OFF)
set(LLAMA_SUBPROCESS OFF) # no programs started by the server, no videos
set(LLAMA_ALL_WARNINGS OFF)
add_subdirectory(vendor/llama.cpp EXCLUDE_FROM_ALL)

# Files of one target are compiled together, but for the large ones that are named. What is not ggml does not compute.
function(compile_together target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
  get_target_property(folder ${target} SOURCE_DIR)
  foreach(file IN LISTS ARGN)
    set_source_files_properties("${folder}/${file}" TARGET_DIRECTORY ${target} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endforeach()
endfunction()
compile_together(mtmd mtmd.cpp mtmd-audio.cpp mtmd-image.cpp mtmd-helper.cpp mtmd-helper-gen.cpp clip.cpp)
compile_together(llama-common json.cpp arg.cpp chat.cpp common.cpp speculative.cpp peg-parser.cpp chat-diff-analyzer.cpp download.cpp)
foreach(target llama-common mtmd server-context llama-server-impl cpp-httplib llama-quantize-impl)
  target_compile_options(${target} PRIVATE -O1)
endforeach()

add_custom_target(llama-programs ALL DEPENDS llama-server llama-quantize)
set(PLACE ${SKBUILD_PLATLIB_DIR}/llama_programs)
install(TARGETS llama-server llama-quantize RUNTIME DESTINATION ${PLACE}/bin)
install(PROGRAMS vendor/llama.cpp/convert_hf_to_gguf.py DESTINATION ${PLACE}/converter)
install(DIRECTORY vendor/llama.cpp/conversion vendor/llama.cpp/gguf-py DESTINATION ${PLACE}/converter)
