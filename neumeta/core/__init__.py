"""What everything else stands on: errors, files, tables, records."""
