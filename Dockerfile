# The toolchain with its set-up done; the entry point is make. Commands and times: docs/setup.md.
#   docker build -t ticket-verdicts .                                          for GPUs; CUDA_ARCH names their kinds
#   docker build -t ticket-verdicts --build-arg BASE=debian:bookworm-slim .    without GPU
#   docker run --rm --gpus all -v "$PWD/runs:/app/runs" ticket-verdicts demo
ARG BASE=docker.io/nvidia/cuda:12.8.1-devel-ubuntu24.04
FROM ${BASE}

# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates g++ make python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
ENV LANG=C.UTF-8
WORKDIR /app

# Set-up depends on these files alone, so that other changes do not compile llama.cpp again. It is compiled for any
# x86-64 processor with AVX2, not for the builder's, and the CUDA part so that it also loads where no GPU is.
ARG CUDA_ARCH="80;86;89;90"
ARG CMAKE_ARGS=""
COPY constraints.txt pyproject.toml ./
COPY make/setup.mk make/setup.py make/setup_commands.py make/setup_llama.py make/llama.cmake make/llama_cuda.cmake make/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    cuda="-DGGML_CUDA=ON -DGGML_CUDA_NO_VMM=ON -DCMAKE_CUDA_ARCHITECTURES='${CUDA_ARCH}'"; \
    command -v nvcc > /dev/null || cuda=""; \
    CMAKE_ARGS="-DGGML_NATIVE=OFF ${cuda} ${CMAKE_ARGS}" make -f make/setup.mk setup setup-student && rm -rf .wheels

COPY . .
# Does it compute right (the tools for that are here only now)? Then the marks are newer than the files just copied:
# nothing is left to set up when the container runs.
RUN make -f make/setup.mk setup && rm -rf .wheels && touch .venv/.ready .venv/.ready-student
VOLUME ["/app/runs", "/app/data", "/app/configs", "/app/checkpoints"]
ENTRYPOINT ["make"]
CMD ["help"]
