"""Formats on Spark: SQL text that turns what Spark reads into rows. No pyspark here, and nothing is sent anywhere."""
