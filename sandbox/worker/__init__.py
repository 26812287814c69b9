"""Inside the jail: the zygote, the confinement, and the loop that feeds frames to a runtime."""
