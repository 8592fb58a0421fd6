"""Device half: files of labelled text, tag schemes, word splitting."""
