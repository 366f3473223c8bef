# One image for hosts with and without an NVIDIA GPU: the CUDA libraries come with the torch wheel, the driver with the
# host's container toolkit. `mlcube_docker configure --mlcube=.` builds it.
#
# Build arguments:
#   TORCH=cpu         take the CPU-only build of torch: gigabytes smaller, for hosts without a GPU
#   SOURCE_REVISION   the git revision of the sources, which reports then name
#
# A folder wheelhouse/ beside this file takes the place of the package index (no network, a proxy); for the image's Python:
#   python3 -m pip download --python-version 3.11 --only-binary=:all: -r requirements.txt -d wheelhouse

FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/*

# The wheels stay behind in this stage; only the environment that they make goes on.
FROM base AS dependencies
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/venv
# A pattern, because COPY refuses a name that is not there.
COPY requirements.txt wheelhous[e] /wheels/
ARG TORCH=
RUN case "$TORCH" in \
        "") source="" ;; \
        cpu) source="--extra-index-url https://download.pytorch.org/whl/cpu" ;; \
        *) echo "TORCH=$TORCH: found neither 'cpu' nor nothing; unset it or set it to cpu" >&2; exit 2 ;; \
    esac; \
    if ls /wheels/*.whl >/dev/null 2>&1; then source="--no-index --find-links /wheels"; fi; \
    /opt/venv/bin/pip install --no-cache-dir $source -r /wheels/requirements.txt

FROM base
COPY --from=dependencies /opt/venv /opt/venv
# Tasks run under the caller's uid, which has neither a passwd entry nor a home here: libraries that ask for the user's
# name or keep a cache below ~ find both. Which GPUs a container sees is for --gpus to say, hence no
# NVIDIA_VISIBLE_DEVICES.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    USER=cryodenoise \
    PYTHONUNBUFFERED=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY pyproject.toml README.md LICENSE /tmp/source/
# src/cryodenoise/reference is a link to it.
COPY reference /tmp/source/reference
COPY src /tmp/source/src
RUN pip install --no-cache-dir --no-deps --no-build-isolation /tmp/source && rm -rf /tmp/source
# Last, since they change with every commit.
ARG SOURCE_REVISION=
ENV CRYODENOISE_REVISION=$SOURCE_REVISION
LABEL org.opencontainers.image.title=cryodenoise \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.revision=$SOURCE_REVISION
ENTRYPOINT ["cryodenoise"]
CMD ["--help"]
