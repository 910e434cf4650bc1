# The service, with its kernels compiled into the image: a container is ready in seconds.
#
#     docker build -t segserve .
#     docker run --rm -p 8765:8765 -e SEGSERVE_API_KEYS=shop:SHA256 segserve     (`segserve key shop` makes both halves)
#     docker run --rm -p 127.0.0.1:8765:8765 -e SEGSERVE_ALLOW_ANONYMOUS=true segserve
#
# It listens on every address of the container, so without keys and without that word it does not start.
# BASE is any slim image with Python 3.11 or later as python3, with its venv module.
ARG BASE=python:3.11-slim
# Set by the builder: amd64 or arm64.
ARG TARGETARCH

# Kernels are compiled for a named processor, not for the one that happens to build: the same at build and at run.
FROM ${BASE} AS base-amd64
ENV NUMBA_CPU_NAME=x86-64-v3

FROM ${BASE} AS base-arm64
ENV NUMBA_CPU_NAME=generic

FROM base-${TARGETARCH} AS base
ENV NUMBA_CPU_FEATURES="" \
    NUMBA_CACHE_DIR=/var/cache/segserve \
    PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1

FROM base AS build
RUN python3 -m venv /opt/venv
COPY requirements.lock /tmp/requirements.lock
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/requirements.lock \
 && python3 -m pip uninstall --yes --quiet pip setuptools
WORKDIR /app
COPY kernels kernels
COPY proto proto
COPY service service
# Compiled code is valid for sources of the same time of change, which a layer keeps only to the second.
RUN find /app -exec touch --date=@1767225600 {} + \
 && python3 -m compileall -q /app \
 && mkdir -p "$NUMBA_CACHE_DIR" \
 && python3 -c 'from kernels.warmup import warm_up; print(warm_up(), "compiled functions")'

FROM base
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
# Numba insists on a folder it can write to, also where everything is compiled already.
COPY --from=build --chown=10001:10001 /var/cache/segserve /var/cache/segserve
WORKDIR /app
USER 10001:10001
ENV SEGSERVE_HOST=0.0.0.0 SEGSERVE_PORT=8765
EXPOSE 8765
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python3", "-m", "service.healthcheck"]
ENTRYPOINT ["python3", "-m", "service"]
