"""`make demo`: a server and a client on one machine, each in its own namespaces, and the main job from end to end."""
