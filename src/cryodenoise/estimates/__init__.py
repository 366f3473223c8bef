"""What tasks will take: sizes known exactly, times from a moment of the program's own work on this machine."""
