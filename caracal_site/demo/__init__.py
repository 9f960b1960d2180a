"""The main job of the platform told as a story, with real requests."""
