"""Benchmark modules: they import, although nothing else runs them in these tests."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import benchmarks

MODULES = [each.name for each in pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")]


@pytest.mark.parametrize("name", MODULES)
def test_benchmark_module_can_be_imported(name: str) -> None:
    importlib.import_module(name)
