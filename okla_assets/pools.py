"""Dagster's pools: what only so many steps may hold at a time."""

GPU = "gpu"
"""The steps that run the large models; `okla up --gpu-slots` sets how many at a time."""
