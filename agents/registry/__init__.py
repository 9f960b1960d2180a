"""Agent services: the endpoints that applications register, and how they are."""
