"""Make reports from result JSON only: one HTML page, Markdown, CSV. Nothing here measures."""
