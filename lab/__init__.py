"""The laboratory: a stand-in Azure on one machine, in front of real or recorded guests. Never shipped in the wheel."""
