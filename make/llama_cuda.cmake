# What a build for NVIDIA's GPUs changes in llama.cpp's source, beside make/llama.cmake. Each change is made where the
# text is found once; where a newer version has another text the build stops and says so. Figures: docs/engines.md.
include("${CMAKE_CURRENT_LIST_DIR}/llama.cmake")
set(CUDA_SOURCE "${CMAKE_CURRENT_SOURCE_DIR}/vendor/llama.cpp/ggml/src/ggml-cuda")
option(LLAMA_HOPPER_CUBLAS "leave products of more than 64 rows to cuBLAS on an H100 or H200" ON)

function(change file old new)
  file(READ "${CUDA_SOURCE}/${file}" text)
  string(FIND "${text}" "${new}" done)
  if(NOT done EQUAL -1)
    return()
  endif()
  string(FIND "${text}" "${old}" first)
  string(FIND "${text}" "${old}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "${file}: this version of llama.cpp has another text where make/llama_cuda.cmake changes it; "
                        "build with -DLLAMA_HOPPER_CUBLAS=OFF, or mend that file")
  endif()
  string(REPLACE "${old}" "${new}" text "${text}")
  file(WRITE "${CUDA_SOURCE}/${file}" "${text}")
endfunction()

if(LLAMA_HOPPER_CUBLAS)
  # ggml's own kernels for quantised weights read prompts at a third of the speed of cuBLAS there. Up to 64 rows, as when
  # answers are written, they are the faster ones.
  change(mmq.cu
"    if (turing_mma_available(cc)) {
        return true;
    }

    if (ggml_cuda_highest_compiled_arch(cc)"
"    if (turing_mma_available(cc)) {
        return cc != GGML_CUDA_CC_HOPPER || n_experts > 0 || ne11 <= 64;
    }

    if (ggml_cuda_highest_compiled_arch(cc)")
  # cuBLAS adds up and writes f32 as fast as f16, and nothing is left to convert
  change(ggml-cuda.cu
"prefer_f32_output = cc == GGML_CUDA_CC_VOLTA ||"
"prefer_f32_output = cc == GGML_CUDA_CC_VOLTA || cc == GGML_CUDA_CC_HOPPER ||")
endif()
