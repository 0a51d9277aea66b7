"""Property tests draw the same examples in every run, and take the time that a busy machine takes."""

from hypothesis import settings

settings.register_profile("same-everywhere", deadline=None, derandomize=True)
settings.load_profile("same-everywhere")
