# Stands in for registry.k8s.io/kube-proxy and for kube-router's image: a program, and those that it
# has write packet filters.
ARG BASE_IMAGE=debian:trixie-slim
FROM ${BASE_IMAGE}
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      iptables nftables ipset conntrack kmod \
 && apt-get clean && rm -rf /var/lib/apt/lists/*
ARG PROGRAM
COPY ${PROGRAM} /usr/local/bin/
