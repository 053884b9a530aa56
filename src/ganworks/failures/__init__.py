"""Trainings that fail on purpose, each with the remedy that its verdict names."""
