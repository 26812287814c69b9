"""A long run of good and hostile plugins behind the real HTTP server."""
