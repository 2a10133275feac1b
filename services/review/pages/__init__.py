"""The reviewers' pages: templates, their words in four languages, and what the browser loads beside them."""
