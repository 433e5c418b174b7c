"""Parameter studies: a sweep file, its points, their runs on many processes, and the table that comes of them."""
