"""What results are worth: one file a metric."""
