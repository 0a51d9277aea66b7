"""Putting it right: a plan from the verdict, the consent that it needs, one file per action. Pure."""
