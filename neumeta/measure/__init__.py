"""What is measured of a network, and the tables it is kept in."""
