"""Benchmarks. A proxy in the environment is not asked for their servers on this computer."""

from network.proxies import prepare_environment

prepare_environment()
