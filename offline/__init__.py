"""A Realtime server for one computer: it listens, thinks and speaks on the CPU, with no key and no network."""
