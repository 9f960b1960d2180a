"""Calls of agent services: who may make and move them, and how they move."""
