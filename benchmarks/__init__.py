"""Benchmarks. A proxy in the environment is not asked for their servers on this computer."""

from network.proxies import ProxySettingError, prepare_environment

try:
    prepare_environment()
except ProxySettingError as error:
    raise SystemExit(str(error)) from None
