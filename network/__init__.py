"""Network of this computer: proxies of outgoing connections, hosts and ports. It imports no other package."""
