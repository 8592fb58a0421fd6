"""Reports drawn from result JSON alone: one HTML page, Markdown, CSV. Nothing here measures."""
