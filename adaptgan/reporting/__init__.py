"""The report page, and the plots that DVC shows."""
