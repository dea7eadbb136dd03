"""Texts for people, each in the language that its reader prefers."""
