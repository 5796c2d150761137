# Which parts of llama.cpp are compiled, and how. CMake includes it right after llama-cpp-python's own project() line.
# Left out: the image part and the helpers of the command-line programs. Kept: every model architecture, every
# quantisation, every backend that CMAKE_ARGS asks for. What each choice saves, and why AMX is left out: docs/setup.md.
if(NOT DEFINED LLAVA_BUILD)
  set(LLAVA_BUILD OFF)
endif()
set(LLAMA_BUILD_COMMON OFF) # a plain variable goes before the cached one, which llama-cpp-python forces ON

function(leave_amx_out)
  # GCC's _tile_loadconfig names 8 of the 64 bytes it reads, so stores to the others may go and the first tile faults.
  # -march=native brings these instructions in by itself; -DGGML_AMX_TILE=ON asks for them, whatever the compiler makes of it.
  if(GGML_AMX_TILE OR NOT TARGET ggml-cpu OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64|i[3-6]86)$")
    return()
  endif()
  include(CheckCCompilerFlag)
  foreach(part amx-tile amx-int8 amx-bf16)
    check_c_compiler_flag(-m${part} HAVE_${part}) # an old compiler knows none, and needs no telling
    if(HAVE_${part})
      target_compile_options(ggml-cpu PRIVATE -mno-${part}) # behind -march=native, so that it counts
    endif()
  endforeach()
endfunction()
cmake_language(DEFER CALL leave_amx_out)

function(compile_quickly)
  # Files that share their headers are compiled together. Those of GPU backends stay alone: each takes gigabytes.
  foreach(target ggml-base ggml-cpu)
    if(TARGET ${target})
      set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
      # Not those for one kind of processor: what they define differs from machine to machine (an Intel with AMX, an ARM).
      get_target_property(folder ${target} SOURCE_DIR)
      get_target_property(files ${target} SOURCES)
      foreach(file IN LISTS files)
        if(file MATCHES "/(amx|arch|kleidiai|spacemit)/")
          set_source_files_properties("${folder}/${file}" "${file}" TARGET_DIRECTORY ${target} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
        endif()
      endforeach()
    endif()
  endforeach()
  get_target_property(folder llama SOURCE_DIR)
  get_target_property(files llama SOURCES)
  foreach(file IN LISTS files)
    if(file MATCHES "^[a-z0-9-]+[.]cpp$")
      set_source_files_properties("${folder}/${file}" TARGET_DIRECTORY llama PROPERTIES SKIP_UNITY_BUILD_INCLUSION OFF)
    endif()
  endforeach()
  # libllama plans the computation and ggml does it: optimised less, its share of a run does not change measurably
  target_compile_options(llama PRIVATE -O1)
endfunction()
cmake_language(DEFER CALL compile_quickly)
