# The toolchain with its set-up done; the entry point is make. Commands, sizes and times: docs/setup.md.
#   docker build -t ticket-verdicts .                                          for GPUs; CUDA_ARCH names their kinds
#   docker build -t ticket-verdicts --build-arg BASE=debian:bookworm-slim --build-arg BUILD_BASE=debian:bookworm-slim .
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" -v "$PWD/runs:/app/runs" ticket-verdicts demo
# Two bases of one distribution: what compiles, and what runs. Both need apt and Python 3.11 or newer.
ARG BUILD_BASE=docker.io/nvidia/cuda:12.8.1-devel-ubuntu24.04@sha256:520292dbb4f755fd360766059e62956e9379485d9e073bbd2f6e3c20c270ed66
ARG BASE=docker.io/nvidia/cuda:12.8.1-runtime-ubuntu24.04@sha256:ebef3c171eeef0298e4eb2e4be843105edf3b8b0ac45e0b43acee358e8046867

FROM ${BUILD_BASE} AS packages
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates g++ make python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
ENV LANG=C.UTF-8
WORKDIR /app
# Set-up depends on these files alone, so that other changes do not compile llama.cpp again. It is compiled for any
# x86-64 processor with AVX2, not for the builder's, and the CUDA part without a link to the driver (libcuda), which no
# image has: so it also loads where no GPU is.
ARG CUDA_ARCH="80;86;89;90"
ARG CMAKE_ARGS=""
ARG SETUP="setup setup-student setup-serve"
COPY constraints.txt pyproject.toml ./
COPY make/setup.mk make/setup.py make/setup_commands.py make/setup_llama.py make/setup_programs.py make/
COPY make/llama.cmake make/llama_cuda.cmake make/llama_programs.cmake make/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    cuda="-DGGML_CUDA=ON -DGGML_CUDA_NO_VMM=ON -DCMAKE_CUDA_ARCHITECTURES='${CUDA_ARCH}'"; \
    command -v nvcc > /dev/null || cuda=""; \
    export CMAKE_ARGS="-DGGML_NATIVE=OFF ${cuda} ${CMAKE_ARGS}"; \
    for goal in ${SETUP}; do make -f make/setup.mk "$goal" || exit; done; \
    readelf -d .venv/lib/python3*/site-packages/llama_cpp/lib/*.so > /tmp/needed && ! grep -F libcuda.so /tmp/needed

# make test: docker build --target test
FROM packages AS test
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf make -f make/setup.mk .venv/.ready-ecosystem .venv/.ready-serve
COPY . .
RUN .venv/bin/python -m tools.selfcheck --if-new && touch .venv/.ready* \
 && mkdir -p runs checkpoints .cache && chmod 1777 . runs checkpoints data .cache
ENV HOME=/tmp
USER 1000:1000
ENTRYPOINT ["make"]
CMD ["test"]

# What only tests and compilers need goes. Wheels know no links: llama.cpp's libraries came three times, in two places.
FROM packages AS slim
RUN .venv/bin/python -m pip uninstall -y --quiet mypy playwright pytest pytest-xdist ruff \
 && find .wheels -name '*.whl' -delete \
 && for place in .venv/lib/python3*/site-packages; do \
      rm -rf "${place:?}"/lib "$place"/torch/test "$place"/torch/include "$place"/torch/bin/test_* "$place"/torch/bin/protoc*; \
      for file in "$place"/llama_cpp/lib/*.so.*.*.*; do \
        ln -sf "${file##*/}" "${file%.*.*}"; ln -sf "${file##*/}" "${file%.*.*.*}"; \
      done; \
    done

FROM ${BASE}
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libgomp1 make python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
ENV LANG=C.UTF-8 HOME=/tmp
WORKDIR /app
COPY --from=slim /app/.venv .venv
COPY --from=slim /app/.wheels .wheels
COPY . .
# Does it compute right? Then the marks are newer than the files just copied: nothing is left to set up when the
# container runs. Any user may write into the folders of results.
RUN .venv/bin/python -m tools.selfcheck --if-new && touch .venv/.ready* \
 && find . -path ./.venv -prune -o ! -perm -a+r -exec chmod a+rX {} + \
 && mkdir -p runs checkpoints models .cache && chmod 1777 runs checkpoints data .cache
USER 1000:1000
VOLUME ["/app/runs", "/app/checkpoints"]
ENTRYPOINT ["make"]
CMD ["help"]
