-- Beside the ledger's own database: its migrations, Prefect's and the catalog's tables do not meet.
CREATE DATABASE prefect;
CREATE DATABASE catalog;
