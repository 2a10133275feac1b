"""The services of AsQuoted, each a process of its own; they never import each other."""
