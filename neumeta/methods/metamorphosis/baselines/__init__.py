"""What the INR is compared with."""
