# One image with every binary of the lab, statically linked, on nothing: no shell, no libraries, no
# package to update. docker-compose.yml starts one service of it per container.
#
#   docker build -t mcbox .
#   docker build -t mcbox --build-arg BUILDER=my-rust:1.95 .   # another builder image
#
# Machines that reach no image registry build the binaries first and take
# deploy/containers/Dockerfile.prebuilt (that is what `make e2e-docker` does).

ARG BUILDER=rust:1.95.0-slim-bookworm

FROM ${BUILDER} AS build
# The C parts are SQLite and ring; espeak-ng and sox speak the demo's sentences.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends \
    build-essential pkg-config espeak-ng sox
WORKDIR /src
COPY . .
RUN tests/speech/make /speech && deploy/containers/build-static /out && mkdir /empty

FROM scratch AS services
COPY --from=build /out/ /
COPY --from=build /speech /speech
# A named volume starts with the owner of the directory it covers.
COPY --from=build --chown=65534:65534 /empty /lab
USER 65534:65534
