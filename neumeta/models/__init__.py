"""Network families that differ only in their width."""
