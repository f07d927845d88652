"""weft's tests, through the installed wheel; one folder a room, helpers in `support`."""
