"""Vehicles, their files, and uploads in parts."""
