"""Putting it right: a verdict's plan (``plan.py``), the consent it needs (``consent.py``), one file per action. Pure."""
