"""Pages of the site that are made from the code and from recorded results; nothing here needs mkdocs."""
