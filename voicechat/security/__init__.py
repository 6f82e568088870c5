"""Access control: who may use which route, from which origin, with which login."""
