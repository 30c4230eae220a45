"""The service management facility of the lab's host: a repository and a restarter per zone [services 3]."""
