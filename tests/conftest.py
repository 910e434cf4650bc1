"""What all tests share: a slow machine is no failure, so hypothesis sets no deadline."""

from hypothesis import settings

settings.register_profile("segserve", deadline=None)
settings.load_profile("segserve")
