"""Tests of the upgrade to better models."""
