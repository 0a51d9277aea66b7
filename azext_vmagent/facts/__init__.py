"""Raw answers as typed facts. Pure: nothing here asks anything, and no input makes it raise."""
