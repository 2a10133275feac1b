"""Intake's pages for customers, and their words in four languages."""
