"""Jobs in containers: the image, the containers of a run, why one died, and what is left of them (docs/docker.md)."""
