"""Benchmark of several replicas: what HAProxy and shared state cost, and what a second replica brings."""
