"""The flow that runs an ingestion."""
